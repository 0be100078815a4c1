"""Expiry of items by their time to live, in stream time.

Expired items are hidden at once: no answer shows them, and no item is compared with them. Their rows are deleted, and
their events emitted, a few before each command. The cost depends on what is due, not on the number of collections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush, nsmallest

from recommender_engine.items import Band, Entry, ItemCommand, TickClock
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Collection, SqliteStore, StoredItem

# Items deleted before one command, so that no command waits for long; and before ``clock.ticked``, which comes on a
# quiet stream.
MOST_AT_ONCE = 25
MOST_ON_A_TICK = 250


class Expiry:
    """When the next item of each collection expires, and which collections still have rows of expired items."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._reload()
        store.on_rollback(self._reload)

    def _reload(self) -> None:
        self._next: dict[int, int] = {}  # stream time at which a collection's next item is due
        self._heap: list[tuple[int, int]] = []  # the same, with outdated entries
        self._with_expired_rows: dict[int, Collection] = {}
        self._collections.expiry_outdated = {
            one.id: one for one in self._collections.all() if one.expired_ms or _ttl_ms(one)
        }

    def arrived(self, collection: Collection, at_ms: int) -> None:
        """An item has arrived."""
        ttl_ms = _ttl_ms(collection)
        if ttl_ms is not None and at_ms + ttl_ms < self._next.get(collection.id, at_ms + ttl_ms + 1):
            self._schedule(collection, at_ms + ttl_ms)

    def due(self, entry: Entry) -> Iterator[tuple[Collection, list[StoredItem]]]:
        """Items to delete before ``entry`` is handled, by collection: some of the earliest, and those that it names.

        What a named item is in review with is deleted too: the command has to meet the verdict without it.

        The caller deletes what it yields before it takes the next.
        """
        self._expire_until(entry.time_ms)
        left = MOST_ON_A_TICK if isinstance(entry.command, TickClock) else MOST_AT_ONCE
        for id_ in nsmallest(left, self._with_expired_rows) if self._with_expired_rows else ():
            collection = self._with_expired_rows[id_]
            if not left:
                break
            if collection.name in self._collections.moving:
                continue
            if seqs := self._store.items.arrived_until(id_, collection.expired_ms, left):
                left -= len(seqs)
                yield collection, self._rows(seqs)
            if left:  # all are deleted
                self._remove_expired_rows(collection)
        for collection, rows in self._named(entry):
            if expired := self._expired_beside(collection, rows):
                yield collection, expired

    def groups_named(self, entry: Entry) -> Iterator[tuple[Collection, list[str]]]:
        """Groups of the items that ``entry`` names, in a collection that still has rows of expired items."""
        for collection, rows in self._named(entry):
            yield collection, [row.group for row in rows if row.group]

    def due_ms(self) -> int | None:
        """Stream time at which the next item is deleted, or ``None``."""
        self._recheck()
        waiting = [
            one.expired_ms for one in self._with_expired_rows.values() if one.name not in self._collections.moving
        ]
        skipped: list[tuple[int, int]] = []
        while self._heap:
            one = heappop(self._heap)
            if self._due(one, skipped) is not None:
                heappush(self._heap, one)
                waiting.append(one[0])
                break
        self._reschedule(skipped)
        return min(waiting, default=None)

    def _expire_until(self, now_ms: int) -> None:
        """Hide everything that expires until a time."""
        self._recheck()
        skipped: list[tuple[int, int]] = []
        while self._heap and self._heap[0][0] <= now_ms:
            collection = self._due(heappop(self._heap), skipped)
            if collection is not None:
                collection.expired_ms = max(collection.expired_ms, now_ms - (_ttl_ms(collection) or 0))
                self._add_expired_rows(collection)
                self._collections.touch(collection)
                self._schedule_next(collection)
        self._reschedule(skipped)

    def _due(self, scheduled: tuple[int, int], skipped: list[tuple[int, int]]) -> Collection | None:
        """The collection of an entry of the heap if the entry is current; otherwise the entry is corrected.

        Args:
            scheduled: due time, and number of the collection.
            skipped: collects entries of collections that move between partitions; the caller schedules them again.
        """
        due_ms, id_ = scheduled
        if self._next.get(id_) != due_ms:
            return None
        collection = self._collections.by_id(id_)
        if collection is not None and collection.name in self._collections.moving:
            skipped.append(scheduled)
            return None
        ttl_ms = None if collection is None else _ttl_ms(collection)
        del self._next[id_]
        if collection is None or ttl_ms is None:
            return None
        first_ms = self._store.items.first_arrival_ms(id_, collection.expired_ms)
        if first_ms is not None and first_ms + ttl_ms == due_ms:
            self._next[id_] = due_ms
            return collection
        self._schedule_next(collection)
        return None

    def _reschedule(self, scheduled: list[tuple[int, int]]) -> None:
        for one in scheduled:
            heappush(self._heap, one)

    def _recheck(self) -> None:
        """Schedule collections whose time to live has changed, or that came by a move."""
        if self._collections.expiry_outdated:
            for collection in self._collections.expiry_outdated.values():
                self._schedule_next(collection)
                first_ms = self._store.items.first_arrival_ms(collection.id) if collection.expired_ms else None
                if first_ms is not None and first_ms <= collection.expired_ms:
                    self._add_expired_rows(collection)
            self._collections.expiry_outdated = {}

    def _schedule_next(self, collection: Collection) -> None:
        """Schedule the next expiry of a collection."""
        ttl_ms = _ttl_ms(collection)
        first_ms = None if ttl_ms is None else self._store.items.first_arrival_ms(collection.id, collection.expired_ms)
        if ttl_ms is None or first_ms is None:
            self._next.pop(collection.id, None)
        else:
            self._schedule(collection, first_ms + ttl_ms)

    def _schedule(self, collection: Collection, due_ms: int) -> None:
        if self._next.get(collection.id) != due_ms:
            self._next[collection.id] = due_ms
            heappush(self._heap, (due_ms, collection.id))

    def _add_expired_rows(self, collection: Collection) -> None:
        collection.has_expired_rows = True
        self._with_expired_rows[collection.id] = collection

    def _remove_expired_rows(self, collection: Collection) -> None:
        collection.has_expired_rows = False
        self._with_expired_rows.pop(collection.id, None)

    def _named(self, entry: Entry) -> Iterator[tuple[Collection, list[StoredItem]]]:
        command = entry.command
        if not self._with_expired_rows or not isinstance(command, ItemCommand):
            return
        collection = self._collections.find(command.collection)
        if collection is not None and collection.has_expired_rows and collection.name not in self._collections.moving:
            ids = sorted(command.item_ids)
            rows = [row for id_ in ids if (row := self._store.items.get(collection.id, id_)) is not None]
            if rows:
                yield collection, sorted(rows, key=lambda row: row.seq)

    def _expired_beside(self, collection: Collection, named: Sequence[StoredItem]) -> list[StoredItem]:
        """The expired ones of these items and of those with which they are in review, in order of arrival."""
        verdicts = [row.verdict for row in named]
        matched = [one.matched_seq for one in verdicts if one.band is Band.REVIEW and one.matched_seq is not None]
        rows = {row.seq: row for row in named} | self._store.items.by_seq(matched)
        return [rows[seq] for seq in sorted(rows) if rows[seq].at_ms <= collection.expired_ms]

    def _rows(self, seqs: Sequence[int]) -> list[StoredItem]:
        rows = self._store.items.by_seq(seqs)
        return [rows[seq] for seq in seqs]


def _ttl_ms(collection: Collection) -> int | None:
    ttl = collection.settings.ttl_seconds
    return None if ttl is None else ttl * 1000
