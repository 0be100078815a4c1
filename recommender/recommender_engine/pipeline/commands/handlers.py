"""What each command does, one function a command; called in log order inside the batch's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    Attributes,
    CollectionConfigured,
    ConfigureCollection,
    DeleteCollection,
    DeleteItem,
    Entry,
    EntryId,
    EraseItem,
    GiveFeedback,
    ItemDeleted,
    ItemKey,
    ItemPatched,
    Malformed,
    MoveCollection,
    PatchItem,
    QuarantineCommand,
    ReceiveRecords,
    RefuseMessage,
    TickClock,
    UpsertItem,
    limits,
)
from recommender_engine.items.repeats import digest_of, repeats, scope_of
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.candidates.policy_index import policy_key_of
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.deletion import Deletion
from recommender_engine.pipeline.commands.feedback import Feedback
from recommender_engine.pipeline.commands.upserts import Upserts
from recommender_engine.pipeline.migration.move_steps import MoveSteps
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.prepared import Prepared
from recommender_engine.pipeline.stream_time.outcomes import Outcomes, is_older
from recommender_engine.pipeline.stream_time.rejections import refused, refused_elsewhere, rejected
from recommender_engine.store import Collection, KeyUse, SqliteStore, StoredItem


class Handlers:
    """Applies commands to the store and emits their events."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        upserts: Upserts,
        departures: Departures,
        feedback: Feedback,
        outcomes: Outcomes,
        moves: MovedCollections,
        moving: MoveSteps,
        deletion: Deletion,
    ) -> None:
        self._store = store
        self._collections = collections
        self._upserts = upserts
        self._departures = departures
        self._feedback = feedback
        self._outcomes = outcomes
        self._moves = moves
        self._moving = moving
        self._deletion = deletion

    def is_repeat(self, entry: Entry) -> bool:
        """Whether its key has been used in its collection within the last 24 hours of stream time."""
        return self._first_use(entry) is not None

    def handle(self, prepared: Prepared, batch: Batch) -> None:
        """Apply one entry: exactly one outcome, which also answers every later repeat of its key.

        One that is passed on has its outcome where it goes, and so have its repeats.
        """
        entry = prepared.entry
        first = self._first_use(entry)
        if first is None:
            outcome = self._apply(prepared, batch)
            if outcome is not None and entry.key is not None:
                use = KeyUse(outcome, digest_of(entry))
                self._store.outbox.remember_key(scope_of(entry), entry.key, entry.time_ms, use)
        elif repeats(entry, first.digest):
            outcome = first.outcome
        else:
            outcome = self._refuse_reuse(entry, batch)
        if outcome is not None and entry.reply_to is not None:
            self._store.outbox.promise(entry.reply_to, outcome)

    def _first_use(self, entry: Entry) -> KeyUse | None:
        return None if entry.key is None else self._store.outbox.used(scope_of(entry), entry.key, entry.time_ms)

    def _refuse_reuse(self, entry: Entry, batch: Batch) -> EntryId:
        """Another command under a key that has been used: the key stays with the first."""
        if isinstance(entry.command, Malformed):  # what is wrong with it says more
            return batch.reject(entry, *rejected(entry, entry.command))
        error = InvalidCommand(
            "key_reused",
            "another command of this collection came under this key within the last 24 hours, and that one counts:"
            " send this one under a key of its own",
            "key",
        )
        return batch.reject(entry, *rejected(entry, refused(entry.command, error)))

    def _apply(self, prepared: Prepared, batch: Batch) -> EntryId | None:
        entry, command = prepared.entry, prepared.entry.command
        try:
            if prepared.elsewhere is not None:
                return self._moves.forward(entry, prepared.elsewhere, batch)
            if prepared.refusal is not None:
                raise prepared.refusal
            return self._carry_out(prepared, batch)
        except InvalidCommand as error:
            return batch.reject(entry, *rejected(entry, refused(command, error)))

    def _carry_out(self, prepared: Prepared, batch: Batch) -> EntryId | None:
        entry, command = prepared.entry, prepared.entry.command
        match command:
            case Malformed():
                return batch.reject(entry, *rejected(entry, command))
            case UpsertItem():
                return self._upserts.apply(prepared, command, batch)
            case PatchItem():
                return self._patch(entry, command, batch)
            case DeleteItem():
                return self._delete(entry, command, batch)
            case EraseItem():
                return self._erase(entry, command, batch)
            case ConfigureCollection():
                return self._configure(entry, command, batch)
            case GiveFeedback():
                return self._give_feedback(entry, command, batch)
            case _:
                return self._carry_out_of_owners(entry, command, batch)

    def _carry_out_of_owners(
        self,
        entry: Entry,
        command: RefuseMessage | DeleteCollection | MoveCollection | ReceiveRecords | TickClock | QuarantineCommand,
        batch: Batch,
    ) -> EntryId | None:
        match command:
            case RefuseMessage():
                return batch.reject(entry, *refused_elsewhere(entry, command))
            case DeleteCollection() | MoveCollection() | ReceiveRecords():
                return self._take_away(entry, command, batch)
            case TickClock() | QuarantineCommand():
                return None  # the clock: what was due has been emitted; a quarantine: for the record
            case _:
                assert_never(command)  # a command without an arm fails the check of types

    # -- items change and go -------------------------------------------------------------------------------------------

    def _patch(self, entry: Entry, command: PatchItem, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        if collection is None or stored is None:
            return self._outcomes.ignore(entry, command, "unknown_item", batch)
        if is_older(self._store, collection, command, stored, entry.time_ms):
            return self._outcomes.ignore(entry, command, "older_version", batch)
        merged = {**stored.item.attributes, **command.attributes}
        attributes: Attributes = {name: value for name, value in merged.items() if value is not None}
        if len(attributes) > limits.MAX_ATTRIBUTES:
            raise InvalidCommand(
                "invalid_value", f"the item would have more than {limits.MAX_ATTRIBUTES} attributes", "attributes"
            )
        version = stored.version if command.version is None else command.version
        item = stored.item.model_copy(update={"attributes": attributes})
        cut = None if stored.cut is None else stored.cut.model_copy(update={"attributes": attributes})
        changed = replace(stored, item=item, cut=cut, revision=stored.revision + 1, version=version)
        self._store.items.update(changed, policy_key_of(collection, changed.compared, stored.at_ms))
        patched = ItemPatched(
            command=cause(entry),
            item_id=command.id,
            collection=command.collection,
            revision=stored.revision + 1,
            attributes=attributes,
        )
        return self._outcomes.emit(entry, collection, patched, None, command.silent, batch)

    def _delete(self, entry: Entry, command: DeleteItem, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        if collection is None:
            return self._outcomes.ignore(entry, command, "unknown_item", batch)
        if is_older(self._store, collection, command, stored, entry.time_ms):
            return self._outcomes.ignore(entry, command, "older_version", batch)
        version = command.version if command.version is not None or stored is None else stored.version
        if version is not None:
            self._store.tombstones.bury(collection.id, command.id, version, entry.time_ms)
        if stored is None:
            return self._outcomes.ignore(entry, command, "unknown_item", batch)
        gone = self._departures.take_out(stored, collection, batch)
        outcome = self._outcomes.emit(entry, collection, _deleted(entry, command), None, command.silent, batch)
        if not command.silent:
            self._departures.publish(gone, entry, collection, "item_deleted", batch)
        return outcome

    def _erase(self, entry: Entry, command: EraseItem, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        gone = None
        if collection is not None:
            if stored is not None:
                gone = self._departures.take_out(stored, collection, batch)
                if stored.version is not None:  # what comes late of it must not bring the text back
                    next_version = min(stored.version + 1, limits.MAX_VERSION)
                    self._store.tombstones.bury(collection.id, command.id, next_version, entry.time_ms)
            self._feedback.forget(collection.id, command.id)
        self._moves.forget(entry, command)
        outcome = batch.emit(entry, _deleted(entry, command, erased=True))
        self._moves.tell_erasure(entry, command, outcome)
        if collection is not None and gone is not None:
            self._departures.publish(gone, entry, collection, "item_deleted", batch)
        return outcome

    def expire(self, entry: Entry, collection: Collection, rows: Sequence[StoredItem], batch: Batch) -> None:
        """Delete items whose time is up."""
        for row in rows:
            if row.version is not None:
                self._store.tombstones.bury(collection.id, row.item.id, row.version, entry.time_ms)
            batch.emit(entry, _deleted(entry, row.item, expired=True))
        self._departures.expire(rows, entry, collection, batch)

    # -- people, settings ----------------------------------------------------------------------------------------------

    def _give_feedback(self, entry: Entry, command: GiveFeedback, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        if collection is None or stored is None:
            return self._outcomes.ignore(entry, command, "unknown_item", batch)
        other_id, answer = self._feedback.meant(command, stored, collection)
        members = {member.id: member for member in self._store.items.named(collection.id, {command.id, other_id})}
        if len(members) < 2:
            return self._outcomes.ignore(entry, command.model_copy(update={"id": other_id}), "unknown_item", batch)
        pair = members[command.id], members[other_id]
        accepted, before = self._feedback.give(entry, command, answer, pair, collection, batch)
        outcome = batch.emit(entry, accepted)
        self._feedback.publish(before, entry, collection, batch)
        return outcome

    def _configure(self, entry: Entry, command: ConfigureCollection, batch: Batch) -> EntryId:
        collection = self._collections.configure(command.collection, command.settings)
        return batch.emit(
            entry,
            CollectionConfigured(command=cause(entry), collection=collection.name, settings=collection.settings),
        )

    def _take_away(
        self, entry: Entry, command: DeleteCollection | MoveCollection | ReceiveRecords, batch: Batch
    ) -> EntryId:
        if isinstance(command, DeleteCollection):
            return self._deletion.apply(entry, command, batch)
        return self._moving.carry_out(entry, command, batch)

    # -- shared --------------------------------------------------------------------------------------------------------

    def _lookup(self, key: ItemKey) -> tuple[Collection | None, StoredItem | None]:
        collection = self._collections.find(key.collection)
        return collection, None if collection is None else self._store.items.get(collection.id, key.id)


def _deleted(entry: Entry, key: ItemKey, *, erased: bool = False, expired: bool = False) -> ItemDeleted:
    return ItemDeleted(command=cause(entry), item_id=key.id, collection=key.collection, erased=erased, expired=expired)
