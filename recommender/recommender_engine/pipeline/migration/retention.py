"""Retention: old rows are deleted a few at a time, so that no command waits for long. Time is stream time only.

Rows are not read any more when they are deleted, so a decision does not depend on how many are deleted already.
"""

from __future__ import annotations

from recommender_engine.items import EntryId
from recommender_engine.pipeline.migration.collection_cleanup import CollectionCleanup
from recommender_engine.recommend.exposure import LISTS_KEPT_MS
from recommender_engine.store import MOST_OUTBOX_BYTES, SqliteStore

_ROWS = 250
INTERACTIONS_MS = 400 * 24 * 3600 * 1000
"""For how long of stream time single interactions are kept; what was learned from them stays."""
_ITEMS = 50  # of a retired collection, with their words


class Retention:
    """Deletes old events, keys and versions of deleted items, rows of retired collections, traces of erased items, and
    empty pages."""

    def __init__(self, store: SqliteStore, leftovers: CollectionCleanup) -> None:
        self._store = store
        self._leftovers = leftovers

    def some(self, outbox_ms: int, sent: EntryId, outbox_bytes: int = MOST_OUTBOX_BYTES) -> bool:
        """Delete some, in about a twentieth of a second; false if nothing was left to do.

        Args:
            outbox_ms: for how long of stream time events are kept.
            sent: events behind it have not been delivered, and stay.
            outbox_bytes: how many bytes of events are kept at most.
        """
        events, others = self._prune(outbox_ms, sent, outbox_bytes)
        scrubbed = self._store.scrub_some()
        return bool(events + others) or scrubbed or self._leftovers.clear(_ITEMS) or self._store.give_back()

    def prune(self, outbox_ms: int, sent: EntryId) -> int:
        """Delete all events, keys and versions past their retention; returns how many events."""
        dropped = 0
        while any(gone := self._prune(outbox_ms, sent)):
            dropped += gone[0]
        self._store.scrub()
        return dropped

    def _prune(self, outbox_ms: int, sent: EntryId, outbox_bytes: int = MOST_OUTBOX_BYTES) -> tuple[int, int]:
        """How many events were deleted, and how many other rows."""
        now_ms = self._store.clock_ms
        with self._store.transaction():
            self._store.outbox.drop_replies()
            events = self._store.outbox.prune(now_ms - outbox_ms, sent, _ROWS, outbox_bytes)
            keys = self._store.outbox.forget_keys(now_ms, _ROWS)
            payloads = self._store.outbox.payloads.forget_old(now_ms - outbox_ms, _ROWS)
            interactions = self._store.behaviour.forget_old(now_ms - INTERACTIONS_MS, _ROWS)
            interactions += self._store.shown.forget_old(now_ms - LISTS_KEPT_MS, _ROWS)
            interactions += self._store.mentions.forget_old(_ROWS)
            versions = self._store.tombstones.forget_old(now_ms, _ROWS)
            versions += self._store.vectors.sweep(_ROWS)
        return events, keys + payloads + versions + interactions
