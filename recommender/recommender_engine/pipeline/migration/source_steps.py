"""The steps of a collection's move in the partition that it leaves."""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import MoveCollection
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.migration.moved_collections import MovedCollections, unexpected_step
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.store import Move, SqliteStore


class SourceSteps:
    """Seals collections, and releases them when they have arrived."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        summaries: Summaries,
        moves: MovedCollections,
        retirement: Retirement,
    ) -> None:
        self._store = store
        self._collections = collections
        self._summaries = summaries
        self._moves = moves
        self._retirement = retirement

    def seal(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        """From here on its commands wait, or are forwarded.

        Raises:
            InvalidCommand: it is not here, or cannot be moved.
        """
        collection = self._collections.find(command.collection)
        if (move is not None and move.place != "here") or collection is None:
            raise unexpected_step(command, move)
        if self._store.behaviour.holds(collection.id) or self._store.shown.holds(collection.id):
            raise InvalidCommand("has_interactions", "a collection that has interactions cannot be moved", "collection")
        self._summaries.emit_now(decision.within(collection))
        origins = () if move is None else move.origins
        self._moves.put(
            Move(command.collection, command.move, "leaving", command.source, command.target, origins=origins)
        )

    def release(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        """It is in the other partition: its rows go, and commands that waited follow it.

        Raises:
            InvalidCommand: it is not leaving by this move.
        """
        if move is None or (move.place, move.move) != ("leaving", command.move):
            raise unexpected_step(command, move)
        self._retirement.retire_named(decision, command.collection, command.move)
        self._moves.put(replace(move, place="left"))
        for item_id in self._store.moves.held_erasures(command.collection):
            self._moves.leftovers.erase(command.collection, item_id)
            self._store.erased(decision.entry.id)  # backups made since the erasure came still hold the item
        self._store.moves.let_go(command.collection, move.target)

    def cancel(self, move: Move) -> None:
        """It stays: commands that waited are appended to this partition's own stream again."""
        self._store.moves.let_go(move.collection, move.source)
        if move.origins:
            self._moves.put(replace(move, place="here"))
        else:
            self._moves.remove(move.collection)
