"""Items whose time to live is over. Time is stream time only.

They are hidden at that moment: no answer shows them, and no item is compared with them. Their rows are deleted, and
their events emitted, a few before each command. The cost depends on what is due, not on the number of collections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush, nsmallest

from recommender_engine.items import Entry, ItemCommand, TickClock
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
        self._hiding: dict[int, Collection] = {}
        self._collections.restless = {one.id: one for one in self._collections.all() if one.gone_ms or _ttl_ms(one)}

    def arrived(self, collection: Collection, at_ms: int) -> None:
        """An item has arrived."""
        ttl_ms = _ttl_ms(collection)
        if ttl_ms is not None and at_ms + ttl_ms < self._next.get(collection.id, at_ms + ttl_ms + 1):
            self._expect(collection, at_ms + ttl_ms)

    def due(self, entry: Entry) -> Iterator[tuple[Collection, list[StoredItem]]]:
        """Items to delete before ``entry`` is handled, by collection: some of the earliest, and those that it names.

        The caller deletes what it yields before it takes the next.
        """
        self._pass(entry.time_ms)
        left = MOST_ON_A_TICK if isinstance(entry.command, TickClock) else MOST_AT_ONCE
        for id_ in nsmallest(left, self._hiding) if self._hiding else ():
            collection = self._hiding[id_]
            if not left:
                break
            if collection.name in self._collections.frozen:
                continue
            if seqs := self._store.items.arrived_until(id_, collection.gone_ms, left):
                left -= len(seqs)
                yield collection, self._rows(seqs)
            if left:  # it has no more
                self._forget(collection)
        for collection, rows in self._named(entry):
            if gone := [row for row in rows if row.at_ms <= collection.gone_ms]:
                yield collection, gone

    def concerned(self, entry: Entry) -> Iterator[tuple[Collection, list[str]]]:
        """Groups of the items that ``entry`` names, in a collection that still has rows of expired items."""
        for collection, rows in self._named(entry):
            yield collection, [row.group for row in rows if row.group]

    def due_ms(self) -> int | None:
        """Stream time at which the next item is deleted, or ``None``."""
        self._wake()
        waiting = [one.gone_ms for one in self._hiding.values() if one.name not in self._collections.frozen]
        frozen: list[tuple[int, int]] = []
        while self._heap:
            one = heappop(self._heap)
            if self._due(one, frozen) is not None:
                heappush(self._heap, one)
                waiting.append(one[0])
                break
        self._put_back(frozen)
        return min(waiting, default=None)

    def _pass(self, now_ms: int) -> None:
        """Hide everything that is due at a time."""
        self._wake()
        frozen: list[tuple[int, int]] = []
        while self._heap and self._heap[0][0] <= now_ms:
            collection = self._due(heappop(self._heap), frozen)
            if collection is not None:
                collection.gone_ms = max(collection.gone_ms, now_ms - (_ttl_ms(collection) or 0))
                self._hide(collection)
                self._collections.touch(collection)
                self._look(collection)
        self._put_back(frozen)

    def _due(self, noted: tuple[int, int], frozen: list[tuple[int, int]]) -> Collection | None:
        """The collection of an entry of the heap, if the entry is still right; else the entry is corrected.

        Args:
            noted: a time, and the number of the collection.
            frozen: collects entries of collections that are moving between partitions.
        """
        due_ms, id_ = noted
        if self._next.get(id_) != due_ms:
            return None
        collection = self._collections.by_id(id_)
        if collection is not None and collection.name in self._collections.frozen:
            frozen.append(noted)
            return None
        ttl_ms = None if collection is None else _ttl_ms(collection)
        del self._next[id_]
        if collection is None or ttl_ms is None:
            return None
        first_ms = self._store.items.first_arrival_ms(id_, collection.gone_ms)
        if first_ms is not None and first_ms + ttl_ms == due_ms:
            self._next[id_] = due_ms
            return collection
        self._look(collection)
        return None

    def _put_back(self, noted: list[tuple[int, int]]) -> None:
        for one in noted:
            heappush(self._heap, one)

    def _wake(self) -> None:
        """Look at collections whose settings have changed, or that have arrived."""
        if self._collections.restless:
            for collection in self._collections.restless.values():
                self._look(collection)
                first_ms = self._store.items.first_arrival_ms(collection.id) if collection.gone_ms else None
                if first_ms is not None and first_ms <= collection.gone_ms:
                    self._hide(collection)
            self._collections.restless = {}

    def _look(self, collection: Collection) -> None:
        """Note when the next item of a collection is due."""
        ttl_ms = _ttl_ms(collection)
        first_ms = None if ttl_ms is None else self._store.items.first_arrival_ms(collection.id, collection.gone_ms)
        if ttl_ms is None or first_ms is None:
            self._next.pop(collection.id, None)
        else:
            self._expect(collection, first_ms + ttl_ms)

    def _expect(self, collection: Collection, due_ms: int) -> None:
        if self._next.get(collection.id) != due_ms:
            self._next[collection.id] = due_ms
            heappush(self._heap, (due_ms, collection.id))

    def _hide(self, collection: Collection) -> None:
        collection.hiding = True
        self._hiding[collection.id] = collection

    def _forget(self, collection: Collection) -> None:
        collection.hiding = False
        self._hiding.pop(collection.id, None)

    def _named(self, entry: Entry) -> Iterator[tuple[Collection, list[StoredItem]]]:
        command = entry.command
        if not self._hiding or not isinstance(command, ItemCommand):
            return
        collection = self._collections.find(command.collection)
        if collection is not None and collection.hiding and collection.name not in self._collections.frozen:
            ids = sorted(command.item_ids)
            rows = [row for id_ in ids if (row := self._store.items.get(collection.id, id_)) is not None]
            if rows:
                yield collection, sorted(rows, key=lambda row: row.seq)

    def _rows(self, seqs: Sequence[int]) -> list[StoredItem]:
        rows = self._store.items.by_seq(seqs)
        return [rows[seq] for seq in seqs]


def _ttl_ms(collection: Collection) -> int | None:
    ttl = collection.settings.ttl_seconds
    return None if ttl is None else ttl * 1000
