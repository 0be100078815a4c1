"""What was concluded: bands, reasons, verdicts on pairs, recommendations."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from recommender_engine.items.values import Value

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Band(StrEnum):
    """What to do with an item, from the strongest verdict to none."""

    DUPLICATE = "duplicate"
    REVIEW = "review"
    SIMILAR = "similar"
    NEW = "new"


class Reason(Value):
    """One piece of evidence: ``code`` for programs, ``text`` for people, ``detail`` for both."""

    code: str
    text: str
    detail: dict[str, Any] = Field(default_factory=dict)


class PairVerdict(Value):
    """The verdict on one pair of texts.

    Attributes:
        band: what it amounts to.
        probability: that the two are the same thing, in [0, 1].
        similarity: cosine of the two embeddings, in [-1, 1].
        reasons: the evidence, strongest first.
        explanation: the same in one sentence.
        contested: whether the two look the same and differ in a number, code, size or colour: the same text about
            different things.
    """

    band: Band
    probability: Probability
    similarity: float
    reasons: tuple[Reason, ...]
    explanation: str = ""
    contested: bool = False


class Recommendation(Value):
    """A similar item; of several duplicates only the canonical one appears.

    Attributes:
        id: the canonical item's id, in the same collection.
        score: cosine similarity of the closest member of its group, in [-1, 1].
        group: the group that it represents.
    """

    id: str
    score: float
    group: str


class HitRate(Value):
    """What became of the lists that were shown under one scenario and arm.

    Attributes:
        scenario, arm: the names; ``None``: without.
        lists: how many were shown.
        hits: how many of them led to an interaction within a day.
        hit_rate: their share, in [0, 1]; with its 95 % score interval, ``hit_rate_low`` to ``hit_rate_high``.
        items: how many items were shown.
        items_used: how many of them were used.
        mean_reciprocal_rank: over all lists, one over the rank of the best item that was used, 0 without one.
    """

    scenario: str | None
    arm: str | None
    lists: int
    hits: int
    hit_rate: Probability
    hit_rate_low: Probability
    hit_rate_high: Probability
    items: int
    items_used: int
    mean_reciprocal_rank: Probability
