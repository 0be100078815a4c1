"""Entries with what was computed for them ahead of their turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Command, Entry, UpsertItem
from recommender_engine.pipeline.vectors.embedding_step import Embedded
from recommender_engine.pipeline.vectors.overlay import Found
from recommender_engine.store import KeyUse


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry ready to be decided; of this class itself, one that needs nothing computed ahead."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class PreparedUpsert(Prepared):
    """An upsert of this partition.

    Attributes:
        command: the command of the entry.
        embedded: the item with its vector.
        found: what the index has found for the vector before the batch is decided; ``None`` if the collection was not
            there yet.
    """

    command: UpsertItem
    embedded: Embedded
    found: Found | None


@dataclass(frozen=True, slots=True)
class PreparedRepeat(Prepared):
    """An entry whose key has been used before.

    Attributes:
        first: the first use of the key, as it is before the batch.
    """

    first: KeyUse


@dataclass(frozen=True, slots=True)
class PreparedRejection(Prepared):
    """An entry that is rejected: it is above the rate of its collection, or its item cannot be embedded.

    Attributes:
        error: the reason.
    """

    error: InvalidCommand


@dataclass(frozen=True, slots=True)
class PreparedForward(Prepared):
    """An entry for another partition.

    Attributes:
        partition: its name.
    """

    partition: str


def segments(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Cut after every command that alters a collection, since it decides how the entries behind it are prepared."""
    start = 0
    for position, entry in enumerate(entries):
        if isinstance(entry.command, Command) and entry.command.alters_collection:
            yield entries[start : position + 1]
            start = position + 1
    if start < len(entries):
        yield entries[start:]
