"""The steps of a collection's move to another partition, on the logs of both.

The log of the source holds the steps that seal and release the collection, the log of the target every record of it. So
a replay of either gives the same state, and a step that comes twice has one effect.
"""

from __future__ import annotations

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionMoved, EntryId, MoveCollection, MoveStep, ReceiveRecords
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.migration.incoming import Incoming
from recommender_engine.pipeline.migration.moved_collections import MovedCollections, unexpected_step
from recommender_engine.pipeline.migration.source_steps import SourceSteps
from recommender_engine.pipeline.migration.target_steps import TargetSteps
from recommender_engine.store import Move, SqliteStore


class MoveSteps:
    """Applies the steps of moves, each where it belongs, and publishes their progress."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        moves: MovedCollections,
        at_source: SourceSteps,
        at_target: TargetSteps,
        incoming: Incoming,
    ) -> None:
        self._store = store
        self._collections = collections
        self._moves = moves
        self._at_source = at_source
        self._at_target = at_target
        self._incoming = incoming

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
                self._at_source.seal(decision, command, move)
            case "begun":
                self._at_target.begin(decision, command, move)
            case "arrived":
                offset = self._at_target.arrive(command, move)
            case "released":
                self._at_source.release(decision, command, move)
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

    def _cancel(self, decision: Decision, command: MoveCollection, move: Move | None) -> None:
        if move is None or move.move != command.move or move.place not in ("leaving", "arriving"):
            raise unexpected_step(command, move)
        if move.place == "arriving":
            self._at_target.cancel(decision, move, command.move)
        else:
            self._at_source.cancel(move)

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
