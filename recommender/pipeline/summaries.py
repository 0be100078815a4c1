"""Summaries of silent commands: the only thing they publish."""

from __future__ import annotations

from collections import Counter

from recommender.items import Band, Entry, ItemsBackfilled
from recommender.pipeline.batch import Batch, cause
from recommender.pipeline.collections import Collections
from recommender.store import Collection

# A summary is due after this many silent commands, or this long after the first of them, in stream time.
SUMMARY_COMMANDS = 1000
SUMMARY_AFTER_MS = 5000


class Summaries:
    """Counts silent commands and says when their summary is due. Time is stream time only."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    def count(self, collection: Collection, entry: Entry, band: Band | None) -> None:
        """One more silent command."""
        if collection.silent_commands == 0:
            collection.silent_since_ms = entry.time_ms
        collection.silent_commands += 1
        if band is not None:
            collection.silent_bands[band] += 1
        self._collections.touch(collection)

    def emit_due(self, entry: Entry, batch: Batch) -> None:
        """Publish the summaries that are due before ``entry`` is handled."""
        for collection in self._collections.awaiting_summary():
            if collection.silent_commands < SUMMARY_COMMANDS and entry.time_ms < _due_ms(collection):
                continue
            self.emit_now(entry, collection, batch)

    def emit_now(self, entry: Entry, collection: Collection, batch: Batch) -> None:
        """Publish the summary of a collection, if there is anything to say."""
        if not collection.silent_commands:
            return
        batch.emit(
            entry,
            ItemsBackfilled(
                command=cause(entry),
                collection=collection.name,
                commands=collection.silent_commands,
                bands=dict(sorted(collection.silent_bands.items())),
            ),
        )
        collection.silent_commands, collection.silent_bands = 0, Counter()
        self._collections.touch(collection)

    def due_ms(self) -> int | None:
        """Stream time of the next summary, or ``None``."""
        return min(map(_due_ms, self._collections.awaiting_summary()), default=None)


def _due_ms(collection: Collection) -> int:
    return collection.silent_since_ms + SUMMARY_AFTER_MS
