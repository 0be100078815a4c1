"""A recorded collection that recommendations are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recommender_engine.evaluation.recommendations.history import History
from recommender_engine.evaluation.recommendations.truth import Truth
from recommender_engine.items import UpsertItem


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is judged by.

    Attributes:
        items: all of them, in the order of their numbers.
        history: what was done with them.
        truth: of the history.
    """

    items: Sequence[UpsertItem]
    history: History
    truth: Truth
