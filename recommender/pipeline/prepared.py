"""An entry with what was computed for it ahead of its turn."""

from __future__ import annotations

from dataclasses import dataclass

from recommender.errors import InvalidCommand
from recommender.items import Entry
from recommender.pipeline.embedding_step import Embedded
from recommender.pipeline.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry ready to be decided.

    Attributes:
        entry: the entry.
        embedded: the item with its vector, or why it has none; ``None`` for other commands and for repeats.
        neighbours: of the items of its collection in this batch.
        refusal: why it is rejected whatever it says: it is one too many.
    """

    entry: Entry
    embedded: Embedded | InvalidCommand | None
    neighbours: Neighbours | None
    refusal: InvalidCommand | None = None
