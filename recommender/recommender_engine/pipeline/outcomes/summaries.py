"""Summaries of silent commands: the only thing they publish."""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush

from recommender_engine.items import Band, ItemsBackfilled
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Collection, SqliteStore

# A summary is due after this many silent commands, or this long after the first of them, in stream time.
SUMMARY_COMMANDS = 1000
SUMMARY_AFTER_MS = 5000


class Summaries:
    """Counts silent commands and emits their summaries. Time is stream time only.

    The cost before a command depends on the summaries that are due, not on the number of collections that await one.
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._collections = collections
        self._reload()
        store.on_rollback(self._reload)

    def _reload(self) -> None:
        waiting = self._collections.awaiting_summary()
        self._heap = [(_due_ms(one), one.id) for one in waiting]
        heapify(self._heap)
        self._full = {one.id for one in waiting if one.silent_commands >= SUMMARY_COMMANDS}

    def count(self, decision: CollectionDecision, band: Band | None) -> None:
        """Count a silent command; ``band`` is that of the item that arrived, if one did."""
        collection = decision.collection
        if collection.silent_commands == 0:
            collection.silent_since_ms = decision.time_ms
            heappush(self._heap, (_due_ms(collection), collection.id))
        collection.silent_commands += 1
        if collection.silent_commands >= SUMMARY_COMMANDS:
            self._full.add(collection.id)
        if band is not None:
            collection.silent_bands[band] += 1
        self._collections.touch(collection)

    def emit_due(self, decision: Decision) -> None:
        """Publish the summaries that are due before the entry is handled."""
        due = set(self._full)
        while self._heap and self._heap[0][0] <= decision.time_ms:
            noted = heappop(self._heap)
            if self._awaits(noted):
                due.add(noted[1])
        self._full.clear()
        for id_ in sorted(due):
            if (collection := self._collections.by_id(id_)) is not None:
                self.emit_now(decision.within(collection))

    def _awaits(self, noted: tuple[int, int]) -> bool:
        """Whether a time that was noted for a collection still holds."""
        collection = self._collections.by_id(noted[1])
        return collection is not None and collection.silent_commands > 0 and _due_ms(collection) == noted[0]

    def emit_now(self, decision: CollectionDecision) -> None:
        """Publish the summary of a collection, if there were silent commands since the last one."""
        collection = decision.collection
        if not collection.silent_commands:
            return
        decision.emit(
            ItemsBackfilled(
                command=decision.cause,
                collection=collection.name,
                commands=collection.silent_commands,
                bands=dict(sorted(collection.silent_bands.items())),
            ),
        )
        collection.silent_commands, collection.silent_bands = 0, Counter()
        self._collections.touch(collection)

    def due_ms(self) -> int | None:
        """Stream time of the next summary, or ``None``."""
        while self._heap and not self._awaits(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None


def _due_ms(collection: Collection) -> int:
    return collection.silent_since_ms + SUMMARY_AFTER_MS
