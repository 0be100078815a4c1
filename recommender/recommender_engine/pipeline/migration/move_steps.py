"""The steps of a collection's move to another partition, on the logs of both.

The log of the source holds the steps that seal and release the collection, the log of the target every record of it. So
a replay of either gives the same state, and a step that comes twice has one effect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recommender_engine.embedding import Encoders
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionMoved, EntryId, MoveCollection, MoveStep, ReceiveRecords
from recommender_engine.items.moves import FIRST_PAGE, MOST_NUMBERS
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.migration.incoming import Incoming
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.outgoing import MovePage, Outgoing
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import Move, SqliteStore


class MoveSteps:
    """Applies steps, reports the progress of moves, and deletes the rows of collections that have left."""

    def __init__(
        self,
        store: SqliteStore,
        encoders: Encoders,
        collections: Collections,
        words: Words,
        summaries: Summaries,
        moves: MovedCollections,
        retirement: Retirement,
        answers: Answers,
        incidents: Incidents,
        novelty: Novelty,
        changed_lists: ChangedLists,
    ) -> None:
        self._store = store
        self._collections = collections
        self._summaries = summaries
        self._moves = moves
        self._retirement = retirement
        self._answers = answers
        self._changed_lists = changed_lists
        self._outgoing = Outgoing(store, moves, incidents, novelty)
        self._incoming = Incoming(store, encoders, collections, words, moves, incidents, novelty)

    # -- commands ------------------------------------------------------------------------------------------------------

    def receive(self, decision: Decision, command: ReceiveRecords) -> EntryId:
        """Apply ``collection.records``; its outcome is silent.

        Raises:
            InvalidCommand: it is not the part that comes next, or it is damaged.
        """
        self._incoming.receive(decision, command)
        move = self._moves.of(command.collection)
        source, target = ("", "") if move is None else (move.source, move.target)
        return decision.emit(self._moved(decision, command, "receiving", source, target), silent=True)

    def move(self, decision: Decision, command: MoveCollection) -> EntryId:
        """Apply ``collection.moved``.

        Raises:
            InvalidCommand: the step does not follow from the state of the collection.
        """
        self._require_concerned(command)
        move, offset = self._moves.of(command.collection), None
        match command.step:
            case "sealed":
                self._seal(decision, command, move)
            case "begun":
                self._begin(decision, command, move)
            case "arrived":
                offset = self._arrive(command, move)
            case "released":
                self._release(decision, command, move)
            case "cancelled":
                self._cancel(decision, command, move)
        return decision.emit(
            self._moved(decision, command, command.step, command.source, command.target, groups_offset=offset)
        )

    def _require_concerned(self, command: MoveCollection) -> None:
        """Require that the step is one of this partition.

        Raises:
            InvalidCommand: it is not.
        """
        role = {"sealed": "source", "released": "source", "begun": "target", "arrived": "target"}.get(command.step)
        ours = (command.source, command.target) if role is None else (getattr(command, role),)
        if self._store.partition not in ours:
            raise InvalidCommand(
                "unknown_move", f"{command.step!r} is a step of {' or '.join(ours)}, not of this partition", role
            )

    def _seal(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        collection = self._collections.find(command.collection)
        if (move is not None and move.place != "here") or collection is None:
            raise _unexpected(command, move)
        if self._store.behaviour.holds(collection.id) or self._store.shown.holds(collection.id):
            raise InvalidCommand("has_interactions", "a collection that has interactions cannot be moved", "collection")
        self._summaries.emit_now(decision.within(collection))
        origins = () if move is None else move.origins
        self._moves.put(
            Move(command.collection, command.move, "leaving", command.source, command.target, origins=origins)
        )

    def _begin(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        arrivals, points_there = command.arrivals or 0, command.points or 0
        last_seq, last_point = self._store.transfer.last_numbers()
        if max(last_seq + arrivals, last_point + points_there) >= MOST_NUMBERS:
            raise InvalidCommand("invalid_value", "too few numbers are left for what arrives", "arrivals")
        if move is not None and move.place == "arriving" and move.move != command.move:
            self._retire(decision, command)  # left by an earlier move
            self._moves.remove(command.collection)
            move = None
        if (move is not None and move.place != "left") or self._collections.find(command.collection) is not None:
            raise _unexpected(command, move)
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

    def _arrive(self, command: MoveCollection, move: Move | None) -> int:
        if move is None or (move.place, move.move, move.page) != ("arriving", command.move, None):
            raise _unexpected(command, move)
        self._moves.put(replace(move, place="here"))
        self._answers.reload()  # it may have been asked for before it was whole
        self._collections.expiry_changed(command.collection)
        self._changed_lists.touched(self._collections.require(command.collection))
        return move.offset

    def _release(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        if move is None or (move.place, move.move) != ("leaving", command.move):
            raise _unexpected(command, move)
        self._retire(decision, command)
        self._moves.put(replace(move, place="left"))
        for item_id in self._store.moves.held_erasures(command.collection):
            self._moves.leftovers.erase(command.collection, item_id)
            self._store.erased(decision.entry.id)  # backups made since the erasure came still hold the item
        self._store.moves.let_go(command.collection, move.target)

    def _cancel(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        if move is None or move.move != command.move or move.place not in ("leaving", "arriving"):
            raise _unexpected(command, move)
        if move.place == "arriving":
            self._retire(decision, command)
            self._moves.remove(command.collection)
            return
        # Commands that waited are appended to this partition's own stream again.
        self._store.moves.let_go(command.collection, move.source)
        if move.origins:
            self._moves.put(replace(move, place="here"))
        else:
            self._moves.remove(command.collection)

    def _retire(self, decision: Decision, command: MoveCollection) -> None:
        collection = self._collections.find(command.collection)
        if collection is not None:
            self._retirement.retire(decision.within(collection), command.move)

    def _moved(
        self,
        decision: Decision,
        command: MoveCollection | ReceiveRecords,
        step: MoveStep,
        source: str,
        target: str,
        *,
        groups_offset: int | None = None,
    ) -> CollectionMoved:
        collection = self._collections.find(command.collection)
        return CollectionMoved(
            command=decision.cause,
            collection=command.collection,
            move=command.move,
            step=step,
            source=source,
            target=target,
            items=0 if collection is None else self._store.items.count(collection.id),
            groups_offset=groups_offset,
        )

    # -- questions and upkeep ------------------------------------------------------------------------------------------

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


def _unexpected(command: MoveCollection, move: Move | None) -> InvalidCommand:
    state = "it has to do with no other partition" if move is None else f"it is {move.place} ({move.move})"
    return InvalidCommand("unknown_move", f"{command.step!r} does not follow here: {state}", "step")
