"""Which collections are another partition's, and the commands that are passed on to it."""

from __future__ import annotations

from collections.abc import Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionDeleted,
    CommandForwarded,
    ConfigureCollection,
    DeleteCollection,
    DeleteItem,
    Entry,
    EntryId,
    EraseItem,
    GiveFeedback,
    ItemDeleted,
    PatchItem,
    UpsertItem,
)
from recommender_engine.items.repeats import digest_of
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.migration.collection_cleanup import CollectionCleanup
from recommender_engine.store import Forward, KeyUse, Move, SqliteStore

MOST_HOPS = 8
_SHOWN = 20
_PASSED_ON = UpsertItem | PatchItem | DeleteItem | EraseItem | ConfigureCollection | DeleteCollection | GiveFeedback


class MovedCollections:
    """Knows of each collection whether it is here; kept in memory, written with the batch that changes it.

    Attributes:
        leftovers: of those that have left.
    """

    def __init__(self, store: SqliteStore, collections: Collections, words: Words) -> None:
        self._store = store
        self._collections = collections
        self.leftovers = CollectionCleanup(store, words)
        self._by_name: dict[str, Move] = {}
        self._reload()
        store.on_rollback(self._reload)

    def of(self, collection: str) -> Move | None:
        """Where a collection stands that has to do with another partition."""
        return self._by_name.get(collection)

    def all(self) -> list[Move]:
        """All of them, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def put(self, move: Move) -> None:
        """It stands like this from now on; part of the running transaction."""
        self._store.moves.put(move)
        self._by_name[move.collection] = move
        self._freeze()

    def remove(self, collection: str) -> None:
        """It has nothing to do with another partition any more; part of the running transaction."""
        self._store.moves.remove(collection)
        self._by_name.pop(collection, None)
        self._freeze()

    def _reload(self) -> None:
        self._by_name = {move.collection: move for move in self._store.moves.all()}
        self._freeze()

    # -- commands ------------------------------------------------------------------------------------------------------

    def destination(self, entry: Entry) -> str | None:
        """The partition that decides an entry, if it is not this one.

        What the log has said of the collection counts; then whether it is here; and last what the settings say.
        """
        command = entry.command
        if not isinstance(command, _PASSED_ON):
            return None
        if (partition := self.partition_of(command.collection)) is not None:
            return partition
        return None if self._collections.find(command.collection) is not None else entry.elsewhere

    def partition_of(self, collection: str) -> str | None:
        """Where a collection's commands go, if the log has said that it is not here."""
        move = self.of(collection)
        if move is None or move.place == "here":
            return None
        return move.source if move.place == "arriving" else move.target

    def forward(self, entry: Entry, target: str, batch: Batch) -> EntryId | None:
        """Pass an entry on; its outcome is the other partition's, so nothing is remembered of its key.

        Raises:
            InvalidCommand: it would go round in circles.
        """
        command = entry.command
        if not isinstance(command, _PASSED_ON):
            raise TypeError(f"not passed on: {type(command)}")
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
            gone = CollectionDeleted(command=cause(entry), collection=name, items=0)
            outcome = batch.emit(entry, gone, silent=True)
            self._store.outbox.void_keys(name, entry.time_ms, outcome)
            return outcome
        if isinstance(command, EraseItem):
            self.forget(entry, command)
            if target in entry.via and (move is None or move.place != "leaving"):
                erased = ItemDeleted(command=cause(entry), item_id=command.id, collection=name, erased=True)
                return batch.emit(entry, erased, silent=True)
            self.tell_erasure(entry, command, None)
        if len(entry.via) >= MOST_HOPS or (move is None and target in entry.via):
            raise InvalidCommand(
                "misrouted",
                f"it came by way of {', '.join(entry.via)}, and no partition takes it: their owners have different"
                " settings (RECOMMENDER_PARTITIONS, RECOMMENDER_ROUTES)",
                "collection",
            )
        self._store.moves.forward(name, target, self._fields(entry, command), held=held)
        forwarded = CommandForwarded(
            command=cause(entry),
            collection=name,
            item_id=getattr(command, "id", None),
            to=target,
            key=self._key(entry),
        )
        batch.emit(entry, forwarded)
        return None

    def forget(self, entry: Entry, command: EraseItem) -> None:
        """Drop what was said of an item here, and what copies of its collection that have left hold of it."""
        self._store.outbox.redact(command.collection, command.id)
        self.leftovers.erase(command.collection, command.id)
        self._store.erased(entry.id)

    def tell_erasure(self, entry: Entry, command: EraseItem, outcome: EntryId | None) -> None:
        """Have an item erased from the partitions that its collection has been in as well.

        Args:
            outcome: of the command, if it was decided here: one of them may send it back, not knowing that.
        """
        move = self.of(command.collection)
        for partition in () if move is None else move.origins:
            if partition not in entry.via:
                if outcome is not None:
                    use = KeyUse(outcome, digest_of(entry))
                    self._store.outbox.remember_key(command.collection, self._key(entry), entry.time_ms, use)
                self._store.moves.forward(command.collection, partition, self._fields(entry, command), held=False)

    def deleted(self, entry: Entry, command: DeleteCollection) -> None:
        """It has nothing to do with another partition any more, nor have those that it has been in with it."""
        move = self.of(command.collection)
        if move is None:
            return
        for partition in move.origins:
            self._store.moves.forward(command.collection, partition, self._fields(entry, command), held=False)
        self.remove(command.collection)

    def _fields(self, entry: Entry, command: _PASSED_ON) -> dict[str, object]:
        return {
            "type": command.type,
            "data": command.model_dump_json(exclude_unset=True),
            "key": self._key(entry),
            "reply_to": entry.reply_to,
            "via": entry.via,
        }

    def _key(self, entry: Entry) -> str:
        """The key under which the other partition knows it, also when it is passed on twice."""
        return entry.key or f"{self._store.source} {entry.id}"

    # -- passing on ----------------------------------------------------------------------------------------------------

    def forwards(self, limit: int) -> list[Forward]:
        """Commands that are to be passed on now."""
        return self._store.moves.forwards(limit)

    def passing(self) -> int:
        """How many commands have not been passed on, those that wait for their collection's arrival included."""
        return self._store.moves.waiting()

    def under_way(self) -> list[dict[str, str]]:
        """Collections that are on their way, for people to see; a few of them."""
        moving = [move for move in self.all() if move.place in ("leaving", "arriving")]
        return [
            {"collection": one.collection, "place": one.place, "source": one.source, "target": one.target}
            for one in moving[:_SHOWN]
        ]

    def sent(self, forwards: Sequence[Forward]) -> None:
        """These stand in the streams of their partitions."""
        with self._store.transaction():
            self._store.moves.sent([one.id for one in forwards])

    def _freeze(self) -> None:
        self._collections.frozen = frozenset(
            move.collection for move in self._by_name.values() if move.place in ("leaving", "arriving")
        )
