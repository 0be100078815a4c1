"""Which collections are in another partition, and the commands that are forwarded to it."""

from __future__ import annotations

from collections.abc import Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionCommand,
    CollectionDeleted,
    CommandForwarded,
    DeleteCollection,
    Entry,
    EntryId,
    EraseItem,
    ItemCommand,
    ItemDeleted,
    MoveCollection,
)
from recommender_engine.items.repeats import digest_of
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.migration.collection_cleanup import CollectionCleanup
from recommender_engine.store import Forward, KeyUse, Move, SqliteStore

MOST_HOPS = 8
_SHOWN = 20


class MovedCollections:
    """The moves of collections; kept in memory, written with the batch that changes them.

    Attributes:
        leftovers: deletes the rows of collections that have left.
    """

    def __init__(self, store: SqliteStore, collections: Collections, words: Words) -> None:
        self._store = store
        self._collections = collections
        self.leftovers = CollectionCleanup(store, words)
        self._by_name: dict[str, Move] = {}
        self._reload()
        store.on_rollback(self._reload)

    def of(self, collection: str) -> Move | None:
        """The move of a collection; ``None`` if it has never moved."""
        return self._by_name.get(collection)

    def all(self) -> list[Move]:
        """All moves, by name of the collection."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def put(self, move: Move) -> None:
        """Record the state of a move; part of the running transaction."""
        self._store.moves.put(move)
        self._by_name[move.collection] = move
        self._freeze()

    def remove(self, collection: str) -> None:
        """Forget the move of a collection; part of the running transaction."""
        self._store.moves.remove(collection)
        self._by_name.pop(collection, None)
        self._freeze()

    def _reload(self) -> None:
        self._by_name = {move.collection: move for move in self._store.moves.all()}
        self._freeze()

    # -- commands ------------------------------------------------------------------------------------------------------

    def destination(self, entry: Entry) -> str | None:
        """The partition that decides an entry, ``None`` if it is this one.

        A move in the log decides; else whether the collection is here; else the settings.
        """
        command = entry.command
        if not isinstance(command, CollectionCommand) or not command.routed:
            return None
        if (partition := self.partition_of(command.collection)) is not None:
            return partition
        return None if self._collections.find(command.collection) is not None else entry.elsewhere

    def partition_of(self, collection: str) -> str | None:
        """Where a collection's commands go, if it has moved."""
        move = self.of(collection)
        if move is None or move.place == "here":
            return None
        return move.source if move.place == "arriving" else move.target

    def forward(self, decision: Decision, target: str) -> EntryId | None:
        """Forward an entry; its outcome is in the other partition, so its key is not remembered here.

        Raises:
            InvalidCommand: it would go round in circles.
        """
        entry, command = decision.entry, decision.entry.command
        if not isinstance(command, CollectionCommand):
            raise TypeError(f"not forwarded: {type(command)}")
        name, move = command.collection, self.of(command.collection)
        held = move is not None and move.place == "leaving"
        if held and not self._store.moves.has_room():
            raise InvalidCommand(
                "too_many_waiting",
                f"{name!r} is on its way to another partition, and too many commands wait for its arrival: send it"
                " again later, under another key",
                "collection",
            )
        if isinstance(command, DeleteCollection) and target in entry.via and move is not None and move.place == "left":
            self.remove(name)  # it was deleted where it is
            gone = CollectionDeleted(command=decision.cause, collection=name, items=0)
            outcome = decision.emit(gone, silent=True)
            self._store.outbox.void_keys(name, entry.time_ms, outcome)
            return outcome
        if isinstance(command, EraseItem):
            self.forget(entry, command)
            if target in entry.via and (move is None or move.place != "leaving"):
                erased = ItemDeleted(command=decision.cause, item_id=command.id, collection=name, erased=True)
                return decision.emit(erased, silent=True)
            self.forward_erasure(entry, command, None)
        if len(entry.via) >= MOST_HOPS or (move is None and target in entry.via):
            raise InvalidCommand(
                "misrouted",
                f"it came by way of {', '.join(entry.via)}, and no partition takes it: their owners have different"
                " settings (RECOMMENDER_PARTITIONS, RECOMMENDER_ROUTES)",
                "collection",
            )
        self._store.moves.forward(name, target, self._fields(entry, command), held=held)
        forwarded = CommandForwarded(
            command=decision.cause,
            collection=name,
            item_id=command.id if isinstance(command, ItemCommand) else None,
            to=target,
            key=self._key(entry),
        )
        decision.emit(forwarded)
        return None

    def forget(self, entry: Entry, command: EraseItem) -> None:
        """Erase an item from the events, and from copies of its collection that have left."""
        self._store.outbox.redact(command.collection, command.id)
        self.leftovers.erase(command.collection, command.id)
        self._store.erased(entry.id)

    def forward_erasure(self, entry: Entry, command: EraseItem, outcome: EntryId | None) -> None:
        """Forward an erasure to the partitions that the collection was in before.

        Args:
            entry: the entry.
            command: its command.
            outcome: of the command, if it was decided here: it answers the command if a partition sends it back.
        """
        move = self.of(command.collection)
        for partition in () if move is None else move.origins:
            if partition not in entry.via:
                if outcome is not None:
                    use = KeyUse(outcome, digest_of(entry))
                    self._store.outbox.remember_key(command.collection, self._key(entry), entry.time_ms, use)
                self._store.moves.forward(command.collection, partition, self._fields(entry, command), held=False)

    def deleted(self, entry: Entry, command: DeleteCollection) -> None:
        """A collection was deleted: its move is forgotten here, and in the partitions that it was in before."""
        move = self.of(command.collection)
        if move is None:
            return
        for partition in move.origins:
            self._store.moves.forward(command.collection, partition, self._fields(entry, command), held=False)
        self.remove(command.collection)

    def _fields(self, entry: Entry, command: CollectionCommand) -> dict[str, object]:
        return {
            "type": command.type,
            "data": command.model_dump_json(exclude_unset=True),
            "key": self._key(entry),
            "reply_to": entry.reply_to,
            "via": entry.via,
            **({"traceparent": entry.traceparent} if entry.traceparent else {}),
        }

    def _key(self, entry: Entry) -> str:
        """The key in the other partition; the same if the entry is forwarded twice."""
        return entry.key or f"{self._store.source} {entry.id}"

    # -- forwarding ----------------------------------------------------------------------------------------------------

    def forwards(self, limit: int) -> list[Forward]:
        """Commands that are to be forwarded now."""
        return self._store.moves.forwards(limit)

    def passing(self) -> int:
        """How many commands have not been forwarded, including those that wait for their collection to arrive."""
        return self._store.moves.waiting()

    def under_way(self) -> list[dict[str, str]]:
        """Moves in progress, for the status page; at most ``_SHOWN``."""
        moving = [move for move in self.all() if move.place in ("leaving", "arriving")]
        return [
            {"collection": one.collection, "place": one.place, "source": one.source, "target": one.target}
            for one in moving[:_SHOWN]
        ]

    def sent(self, forwards: Sequence[Forward]) -> None:
        """These have been appended to the streams of their partitions."""
        with self._store.transaction():
            self._store.moves.sent([one.id for one in forwards])

    def _freeze(self) -> None:
        self._collections.moving = frozenset(
            move.collection for move in self._by_name.values() if move.place in ("leaving", "arriving")
        )


def unexpected_step(command: MoveCollection, move: Move | None) -> InvalidCommand:
    """The rejection of a step that does not follow from the state of its collection."""
    state = "it has to do with no other partition" if move is None else f"it is {move.place} ({move.move})"
    return InvalidCommand("unknown_move", f"{command.step!r} does not follow here: {state}", "step")
