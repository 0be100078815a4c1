"""An entry with what was computed for it ahead of its turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import ConfigureCollection, DeleteCollection, Entry, MoveCollection, ReceiveRecords
from recommender_engine.pipeline.vectors.embedding_step import Embedded
from recommender_engine.pipeline.vectors.overlay import Found


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry ready to be decided.

    Attributes:
        entry: the entry.
        embedded: the item with its vector, or why it has none; ``None`` for other commands and for repeats.
        found: what the index of its collection has found for the vector before the batch is decided.
        refusal: why it is rejected whatever it says: it is one too many.
        elsewhere: the partition that decides it, if it is not this one.
    """

    entry: Entry
    embedded: Embedded | InvalidCommand | None
    found: Found | None
    refusal: InvalidCommand | None = None
    elsewhere: str | None = None


def segments(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Cut after every change of settings or place, since it decides how the entries behind it are prepared."""
    start = 0
    for place, entry in enumerate(entries):
        if isinstance(entry.command, ConfigureCollection | DeleteCollection | MoveCollection | ReceiveRecords):
            yield entries[start : place + 1]
            start = place + 1
    if start < len(entries):
        yield entries[start:]
