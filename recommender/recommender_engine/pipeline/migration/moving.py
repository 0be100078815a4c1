"""What the mover of a collection asks, and the upkeep behind it."""

from __future__ import annotations

from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.outgoing import MovePage, Outgoing
from recommender_engine.store import SqliteStore


class Moving:
    """Reports the progress of moves, reads the pages of a collection that leaves, and deletes what has left."""

    def __init__(
        self, store: SqliteStore, collections: Collections, moves: MovedCollections, outgoing: Outgoing
    ) -> None:
        self._store = store
        self._collections = collections
        self._moves = moves
        self._outgoing = outgoing

    def status(self, collection: str) -> dict[str, Any]:
        """The state of a collection in this partition, for ``recommender move``."""
        move, found = self._moves.of(collection), self._collections.find(collection)
        last_seq, last_point = self._store.transfer.last_numbers()
        return {
            "place": ("absent" if found is None else "here") if move is None else move.place,
            "move": None if move is None else move.move,
            "source": None if move is None else move.source,
            "target": None if move is None else move.target,
            "page": None if move is None else move.page,
            "items": 0 if found is None else self._store.items.count(found.id),
            "waiting": self._store.moves.waiting(collection),
            "arrivals": last_seq,
            "points": last_point,
        }

    def page(self, collection: str, page: str) -> MovePage:
        """A page of a collection that is leaving.

        Raises:
            InvalidCommand: it is not leaving, or there is no such page.
        """
        move, found = self._moves.of(collection), self._collections.find(collection)
        if found is None or move is None or move.place != "leaving":
            raise InvalidCommand("unknown_move", "the collection is not leaving this partition", "collection")
        return self._outgoing.page(found, page)

    def clear(self, limit: int) -> bool:
        """Delete at most ``limit`` items of collections that have left; false if none are left."""
        return self._moves.leftovers.clear(limit)
