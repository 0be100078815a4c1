"""The steps of a collection's move in the partition that it comes to."""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import MoveCollection
from recommender_engine.items.moves import FIRST_PAGE, MOST_NUMBERS
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.migration.moved_collections import MovedCollections, unexpected_step
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import Move, SqliteStore


class TargetSteps:
    """Reserves numbers for a collection that comes, and puts it in place once all its records are here."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        moves: MovedCollections,
        retirement: Retirement,
        answers: Answers,
        changed_lists: ChangedLists,
    ) -> None:
        self._store = store
        self._collections = collections
        self._moves = moves
        self._retirement = retirement
        self._answers = answers
        self._changed_lists = changed_lists

    def begin(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        """Reserve numbers for its items and points.

        Raises:
            InvalidCommand: it is here, another move brings it, or there is no room.
        """
        arrivals, points_there = command.arrivals or 0, command.points or 0
        last_seq, last_point = self._store.transfer.last_numbers()
        if max(last_seq + arrivals, last_point + points_there) >= MOST_NUMBERS:
            raise InvalidCommand("invalid_value", "too few numbers are left for what arrives", "arrivals")
        if move is not None and move.place == "arriving" and move.move != command.move:
            self.cancel(decision, move, command.move)  # left by an earlier move
            move = None
        if (move is not None and move.place != "left") or self._collections.find(command.collection) is not None:
            raise unexpected_step(command, move)
        self._collections.require_room()
        offset, points = self._store.transfer.reserve(arrivals, points_there)
        self._moves.put(
            Move(
                command.collection,
                command.move,
                "arriving",
                command.source,
                command.target,
                offset=offset,
                points=points,
                last_arrival=offset + arrivals,
                last_point=points + points_there,
                page=FIRST_PAGE,
            )
        )

    def arrive(self, command: MoveCollection, move: Move | None) -> int:
        """All its records are here: it is in place.

        Returns:
            What its groups have more in their numbers than they had where it came from.

        Raises:
            InvalidCommand: it is not arriving by this move, or records are missing.
        """
        if move is None or (move.place, move.move, move.page) != ("arriving", command.move, None):
            raise unexpected_step(command, move)
        self._moves.put(replace(move, place="here"))
        self._answers.reload()  # it may have been asked for before it was whole
        self._collections.expiry_changed(command.collection)
        self._changed_lists.touched(self._collections.require(command.collection))
        return move.offset

    def cancel(self, decision: Decision, move: Move, by: str) -> None:
        """What has arrived goes.

        Args:
            decision: of the step.
            move: of the collection.
            by: the move that the step belongs to.
        """
        self._retirement.retire_named(decision, move.collection, by)
        self._moves.remove(move.collection)
