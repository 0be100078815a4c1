"""What each command does, one function a command; called in log order inside the batch's transaction."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recommender.errors import InvalidCommand
from recommender.items import (
    Attributes,
    Band,
    CollectionConfigured,
    Command,
    CommandIgnored,
    CommandRejected,
    ConfigureCollection,
    DeleteItem,
    Entry,
    EntryId,
    EraseItem,
    EventData,
    ItemDeleted,
    ItemKey,
    ItemPatched,
    ItemProcessed,
    Malformed,
    PatchItem,
    Timings,
    UpsertItem,
    claimed_item,
    limits,
    malformed,
)
from recommender.pipeline.arrivals import Arrivals, Surroundings
from recommender.pipeline.batch import Batch, cause
from recommender.pipeline.collections import Collections
from recommender.pipeline.embedding_step import Embedded, made_from_text
from recommender.pipeline.neighbours import Neighbours
from recommender.pipeline.overlay import CollectionOverlay
from recommender.pipeline.summaries import Summaries
from recommender.store import Collection, SqliteStore, StoredItem


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry with what was computed for it ahead of its turn.

    Attributes:
        entry: the entry.
        embedded: the item with its vector, or why it has none; ``None`` for other commands and for repeats.
        neighbours: of the items of its collection in this batch.
    """

    entry: Entry
    embedded: Embedded | InvalidCommand | None
    neighbours: Neighbours | None


class Handlers:
    """Applies commands to the store and emits their events."""

    def __init__(self, store: SqliteStore, collections: Collections, arrivals: Arrivals, summaries: Summaries) -> None:
        self._store = store
        self._collections = collections
        self._arrivals = arrivals
        self._summaries = summaries

    def is_repeat(self, entry: Entry) -> bool:
        """Whether its key has been used within the last 24 hours of stream time."""
        return self._first_outcome(entry) is not None

    def possible_removals(self, collection: str, entries: Sequence[Entry], embedded: Mapping[EntryId, Embedded]) -> int:
        """How many committed points the entries can remove from the collection's index at most."""
        found = self._collections.find(collection)
        if found is None:
            return 0
        touched: dict[str, list[Embedded | None]] = {}
        for entry in entries:
            command = entry.command
            if isinstance(command, UpsertItem | DeleteItem | EraseItem) and command.collection == collection:
                touched.setdefault(command.id, []).append(embedded.get(entry.id))
        before = self._store.items.prints(found.id, touched)
        return sum(1 for id_, prints in before.items() if not _harmless(touched[id_], prints))

    def handle(self, prepared: Prepared, batch: Batch) -> None:
        """Apply one entry: exactly one outcome, which also answers every later repeat of its key."""
        entry = prepared.entry
        outcome = self._first_outcome(entry)
        if outcome is None:
            outcome = self._apply(prepared, batch)
            if outcome is not None and entry.key is not None:
                self._store.outbox.remember_key(entry.key, entry.time_ms, outcome)
        if outcome is not None and entry.reply_to is not None:
            self._store.outbox.promise(entry.reply_to, outcome)

    def _first_outcome(self, entry: Entry) -> EntryId | None:
        return None if entry.key is None else self._store.outbox.outcome_of(entry.key, entry.time_ms)

    def _apply(self, prepared: Prepared, batch: Batch) -> EntryId | None:
        entry, command = prepared.entry, prepared.entry.command
        try:
            match command:
                case Malformed():
                    return batch.emit(entry, _rejected(entry, command))
                case UpsertItem():
                    return self._upsert(prepared, command, batch)
                case PatchItem():
                    return self._patch(entry, command, batch)
                case DeleteItem():
                    return self._delete(entry, command, batch)
                case EraseItem():
                    return self._erase(entry, command, batch)
                case ConfigureCollection():
                    return self._configure(entry, command, batch)
                case _:
                    return None  # the clock: what was due has been emitted
        except InvalidCommand as error:
            return batch.emit(entry, _rejected(entry, _refused(command, error)))

    # -- items arrive --------------------------------------------------------------------------------------------------

    def _upsert(self, prepared: Prepared, command: UpsertItem, batch: Batch) -> EntryId:
        started = time.perf_counter()
        entry, embedded, neighbours = prepared.entry, prepared.embedded, prepared.neighbours
        if isinstance(embedded, InvalidCommand):
            raise embedded
        if embedded is None or neighbours is None:
            raise AssertionError("an upsert that is not a repeat has been prepared")
        collection = self._collections.ensure(command.collection, embedded.model)
        stored = self._store.items.get(collection.id, command.id)
        if self._is_older(collection, command, stored):
            return self._ignore(entry, command, "older_version", batch)
        overlay = batch.overlay(collection, embedded.model.dimension)
        unchanged = stored is not None and self._says_the_same(stored, embedded)
        if stored is not None and not unchanged:
            self._arrivals.withdraw(stored, overlay)  # a changed text arrives anew
        neighbourhood = neighbours.of(entry.id, overlay, self._arrivals.twin_points(collection, embedded))
        surroundings = self._arrivals.surroundings(neighbourhood)
        revision = stored.revision + 1 if stored else 1
        version = command.version if command.version is not None or stored is None else stored.version
        if stored is not None and unchanged:
            row = self._arrivals.refresh(stored, command, revision=revision, version=version)
        else:
            self._store.items.unbury(collection.id, command.id)
            row = self._arrivals.place(collection, embedded, surroundings, overlay, revision=revision, version=version)
        event = self._processed(entry, collection, row, embedded, surroundings, started)
        return self._emit(entry, collection, event, event.band, command.silent, batch)

    def _says_the_same(self, stored: StoredItem, embedded: Embedded) -> bool:
        if stored.fingerprint != embedded.fingerprint:
            return False
        # The producer's vector is part of what an item says; case alone is not, though it moves the vector of a text.
        key = self._store.vectors.key(stored.vector)
        return key == embedded.vector_key or (made_from_text(key) and made_from_text(embedded.vector_key))

    def _processed(
        self,
        entry: Entry,
        collection: Collection,
        row: StoredItem,
        embedded: Embedded,
        surroundings: Surroundings,
        started: float,
    ) -> ItemProcessed:
        standing = self._arrivals.standing(row)
        return ItemProcessed(
            command=cause(entry),
            item_id=row.item.id,
            collection=collection.name,
            revision=row.revision,
            **standing.fields(),
            recommendations=self._arrivals.recommendations(collection, surroundings, but=row.group),
            truncated=embedded.truncated,
            model=embedded.model.key,
            timings=Timings(embed_ms=embedded.embed_ms, decide_ms=round((time.perf_counter() - started) * 1000, 3)),
        )

    # -- items change and go -------------------------------------------------------------------------------------------

    def _patch(self, entry: Entry, command: PatchItem, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        if collection is None or stored is None:
            return self._ignore(entry, command, "unknown_item", batch)
        if self._is_older(collection, command, stored):
            return self._ignore(entry, command, "older_version", batch)
        merged = {**stored.item.attributes, **command.attributes}
        attributes: Attributes = {name: value for name, value in merged.items() if value is not None}
        if len(attributes) > limits.MAX_ATTRIBUTES:
            raise InvalidCommand(
                "invalid_value", f"the item would have more than {limits.MAX_ATTRIBUTES} attributes", "attributes"
            )
        version = stored.version if command.version is None else command.version
        item = stored.item.model_copy(update={"attributes": attributes})
        self._store.items.update(stored.seq, item, stored.revision + 1, version)
        patched = ItemPatched(
            command=cause(entry),
            item_id=command.id,
            collection=command.collection,
            revision=stored.revision + 1,
            attributes=attributes,
        )
        return self._emit(entry, collection, patched, None, command.silent, batch)

    def _delete(self, entry: Entry, command: DeleteItem, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        if collection is None:
            return self._ignore(entry, command, "unknown_item", batch)
        if self._is_older(collection, command, stored):
            return self._ignore(entry, command, "older_version", batch)
        version = command.version if command.version is not None or stored is None else stored.version
        if version is not None:
            self._store.items.bury(collection.id, command.id, version)
        if stored is None:
            return self._ignore(entry, command, "unknown_item", batch)
        self._withdraw(stored, collection, batch)
        return self._emit(entry, collection, _deleted(entry, command, erased=False), None, command.silent, batch)

    def _erase(self, entry: Entry, command: EraseItem, batch: Batch) -> EntryId:
        collection, stored = self._lookup(command)
        if collection is not None:
            if stored is not None:
                self._withdraw(stored, collection, batch)
            self._store.items.unbury(collection.id, command.id)
        self._store.outbox.redact(command.collection, command.id)
        return batch.emit(entry, _deleted(entry, command, erased=True))

    def _configure(self, entry: Entry, command: ConfigureCollection, batch: Batch) -> EntryId:
        collection = self._collections.configure(command.collection, command.settings)
        return batch.emit(
            entry,
            CollectionConfigured(command=cause(entry), collection=collection.name, settings=collection.settings),
        )

    # -- shared --------------------------------------------------------------------------------------------------------

    def _lookup(self, key: ItemKey) -> tuple[Collection | None, StoredItem | None]:
        collection = self._collections.find(key.collection)
        return collection, None if collection is None else self._store.items.get(collection.id, key.id)

    def _is_older(
        self, collection: Collection, command: UpsertItem | PatchItem | DeleteItem, stored: StoredItem | None
    ) -> bool:
        if command.version is None:
            return False
        last = stored.version if stored else self._store.items.buried_version(collection.id, command.id)
        return last is not None and command.version < last

    def _withdraw(self, stored: StoredItem, collection: Collection, batch: Batch) -> None:
        if collection.dimension is None:
            raise AssertionError("a collection with items has a dimension")
        overlay: CollectionOverlay = batch.overlay(collection, collection.dimension)
        self._arrivals.withdraw(stored, overlay)

    def _ignore(self, entry: Entry, key: ItemKey, reason: str, batch: Batch) -> EntryId:
        ignored = CommandIgnored.model_validate(
            {"command": cause(entry), "item_id": key.id, "collection": key.collection, "reason": reason}
        )
        return batch.emit(entry, ignored, silent=getattr(key, "silent", False))

    def _emit(
        self, entry: Entry, collection: Collection, data: EventData, band: Band | None, silent: bool, batch: Batch
    ) -> EntryId:
        if silent:
            self._summaries.count(collection, entry, band)
        return batch.emit(entry, data, silent=silent)


def _harmless(arrivals: list[Embedded | None], prints: tuple[bytes, bytes]) -> bool:
    """Whether an item keeps its point for sure: touched once, by an upsert that says the same."""
    (first, *more) = arrivals
    return first is not None and not more and (first.fingerprint, first.vector_key) == prints


def _refused(command: Command | Malformed, error: InvalidCommand) -> Malformed:
    """A command that could be read but not accepted."""
    if isinstance(command, Malformed):
        return command
    return malformed(error, command.model_dump_json(exclude_unset=True).encode(), command.type)


def _deleted(entry: Entry, key: ItemKey, *, erased: bool) -> ItemDeleted:
    return ItemDeleted(command=cause(entry), item_id=key.id, collection=key.collection, erased=erased)


def _rejected(entry: Entry, command: Malformed) -> CommandRejected:
    try:
        payload, encoding = command.payload.decode(), "utf-8"
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(command.payload).decode(), "base64"
    about = claimed_item(command.payload)
    return CommandRejected.model_validate(
        {
            "command": cause(entry),
            "code": command.error.code,
            "field": command.error.field,
            "message": str(command.error),
            "item_id": about and about.id,
            "collection": about and about.collection,
            "command_type": command.type[:256],
            "payload": payload,
            "payload_encoding": encoding,
            "payload_bytes": command.size,
        }
    )
