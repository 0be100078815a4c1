"""The steps of a collection's move to another partition, on the log of either.

Both logs hold all that a move does: the source's that the collection is sealed and released, the target's every record
of it. So a replay of either gives the same state, and a step that is said twice has one effect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recommender_engine.embedding import Encoders
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionMoved, Entry, EntryId, MoveCollection, ReceiveRecords
from recommender_engine.items.moves import FIRST_PAGE, MOST_NUMBERS
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.migration.incoming import Incoming
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.outgoing import MovePage, Outgoing
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.stream_time.summaries import Summaries
from recommender_engine.store import Move, SqliteStore


class MoveSteps:
    """Carries out steps, shows how far they are, and clears away what has left."""

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
    ) -> None:
        self._store = store
        self._collections = collections
        self._summaries = summaries
        self._moves = moves
        self._retirement = retirement
        self._answers = answers
        self._outgoing = Outgoing(store, moves)
        self._incoming = Incoming(store, encoders, collections, words, moves)

    # -- commands ------------------------------------------------------------------------------------------------------

    def carry_out(self, entry: Entry, command: MoveCollection | ReceiveRecords, batch: Batch) -> EntryId:
        """Carry out one step, or take some records, of which nothing is published.

        Raises:
            InvalidCommand: it does not follow from where the collection stands.
        """
        if isinstance(command, ReceiveRecords):
            self._incoming.receive(entry, command, batch)
            return batch.emit(entry, self._told(entry, command, "receiving", None), silent=True)
        self._require_concerned(command)
        move, offset = self._moves.of(command.collection), None
        match command.step:
            case "sealed":
                self._seal(entry, command, move, batch)
            case "begun":
                self._begin(command, move, batch)
            case "arrived":
                offset = self._arrive(command, move)
            case "released":
                self._release(entry, command, move, batch)
            case "cancelled":
                self._cancel(command, move, batch)
        return batch.emit(entry, self._told(entry, command, command.step, offset))

    def _require_concerned(self, command: MoveCollection) -> None:
        """See to it that the step is one of this partition's."""
        role = {"sealed": "source", "released": "source", "begun": "target", "arrived": "target"}.get(command.step)
        ours = (command.source, command.target) if role is None else (getattr(command, role),)
        if self._store.partition not in ours:
            raise InvalidCommand(
                "unknown_move", f"{command.step!r} is a step of {' or '.join(ours)}, not of this partition", role
            )

    def _seal(self, entry: Entry, command: MoveCollection, move: Move | None, batch: Batch) -> None:
        collection = self._collections.find(command.collection)
        if (move is not None and move.place != "here") or collection is None:
            raise _unexpected(command, move)
        self._summaries.emit_now(entry, collection, batch)
        origins = () if move is None else move.origins
        self._moves.put(
            Move(command.collection, command.move, "leaving", command.source, command.target, origins=origins)
        )

    def _begin(self, command: MoveCollection, move: Move | None, batch: Batch) -> None:
        arrivals, points_there = command.arrivals or 0, command.points or 0
        last_seq, last_point = self._store.transfer.last_numbers()
        if max(last_seq + arrivals, last_point + points_there) >= MOST_NUMBERS:
            raise InvalidCommand("invalid_value", "too few numbers are left for what arrives", "arrivals")
        if move is not None and move.place == "arriving" and move.move != command.move:
            self._retire(command, batch)  # what an earlier move has left behind
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
        self._collections.stir(command.collection)
        return move.offset

    def _release(self, entry: Entry, command: MoveCollection, move: Move | None, batch: Batch) -> None:
        if move is None or (move.place, move.move) != ("leaving", command.move):
            raise _unexpected(command, move)
        self._retire(command, batch)
        self._moves.put(replace(move, place="left"))
        for item_id in self._store.moves.held_erasures(command.collection):
            self._moves.leftovers.erase(command.collection, item_id)
            self._store.erased(entry.id)  # backups made since the erasure came still hold the item
        self._store.moves.let_go(command.collection, move.target)

    def _cancel(self, command: MoveCollection, move: Move | None, batch: Batch) -> None:
        if move is None or move.move != command.move or move.place not in ("leaving", "arriving"):
            raise _unexpected(command, move)
        if move.place == "arriving":
            self._retire(command, batch)
            self._moves.remove(command.collection)
            return
        # Those that waited come to this partition's own stream once more, behind what is there.
        self._store.moves.let_go(command.collection, move.source)
        if move.origins:
            self._moves.put(replace(move, place="here"))
        else:
            self._moves.remove(command.collection)

    def _retire(self, command: MoveCollection, batch: Batch) -> None:
        collection = self._collections.find(command.collection)
        if collection is not None:
            self._retirement.retire(collection, command.move, batch)

    def _told(
        self, entry: Entry, command: MoveCollection | ReceiveRecords, step: Any, offset: int | None
    ) -> CollectionMoved:
        move, collection = self._moves.of(command.collection), self._collections.find(command.collection)
        source, target = (move.source, move.target) if move is not None else ("", "")
        if isinstance(command, MoveCollection):
            source, target = command.source, command.target
        return CollectionMoved(
            command=cause(entry),
            collection=command.collection,
            move=command.move,
            step=step,
            source=source,
            target=target,
            items=0 if collection is None else self._store.items.count(collection.id),
            groups_offset=offset,
        )

    # -- questions and upkeep ------------------------------------------------------------------------------------------

    def status(self, collection: str) -> dict[str, Any]:
        """Where a collection stands here, for whoever moves it."""
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
        """Clear away at most ``limit`` items of a collection that has left; false when there is none."""
        return self._moves.leftovers.clear(limit)


def _unexpected(command: MoveCollection, move: Move | None) -> InvalidCommand:
    stands = "it has to do with no other partition" if move is None else f"it is {move.place} ({move.move})"
    return InvalidCommand("unknown_move", f"{command.step!r} does not follow here: {stands}", "step")
