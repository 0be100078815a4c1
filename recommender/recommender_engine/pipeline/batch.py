"""A batch while it is being decided, and the decision on one of its entries."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass

from recommender_engine.items import Cause, CommandRejected, Entry, EntryId, Event, EventData
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.store import Collection, SqliteStore


class Batch:
    """Collects the effects of the entries of one transaction.

    Attributes:
        position: id of the last entry that was decided.
        clock_ms: stream time of that entry, in milliseconds since 1970.
        events: in order, with their entry ids.
        overlays: changes to the vector indexes, by collection id.
        changed: collections with points or settings that have changed, by id.
        retired: collections that have left, for another partition or for good.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._last_event = store.last_event
        self.position = store.position
        self.clock_ms = store.clock_ms
        self.events: list[Event] = []
        self.overlays: dict[int, CollectionOverlay] = {}
        self.changed: dict[int, Collection] = {}
        self.retired: list[Collection] = []

    def emit(self, entry: Entry, data: EventData, *, silent: bool = False) -> EntryId:
        """Give an event its id in the events stream and remember it for publishing."""
        event = Event(self.next_event(entry), data, silent, entry.traceparent)
        self._store.outbox.add(event)
        self.events.append(event)
        return event.id

    def reject(self, entry: Entry, data: CommandRejected, payload: bytes | None) -> EntryId:
        """Emit a rejection; ``payload`` is what its dead letter holds besides."""
        id_ = self.emit(entry, data)
        self._store.mentions.add_rejected(id_, _shown(data) if payload is None else payload)
        if payload is not None:
            self._store.outbox.payloads.keep(id_, payload)
        return id_

    def next_event(self, entry: Entry) -> EntryId:
        """The id of the next event."""
        self._last_event = self.coming_event(entry)
        return self._last_event

    def coming_event(self, entry: Entry) -> EntryId:
        """The id that the next event will have, if it is one of this entry."""
        return self._last_event.next_at(entry.time_ms)

    def overlay(self, collection: Collection) -> CollectionOverlay:
        """The changes to one collection's index."""
        if collection.id not in self.overlays:
            self.overlays[collection.id] = CollectionOverlay()
            self.changed[collection.id] = collection
        return self.overlays[collection.id]

    def finish(self) -> None:
        """Record position and last event; the caller commits."""
        self._store.position = self.position
        self._store.clock_ms = self.clock_ms
        self._store.last_event = self._last_event


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one entry of a batch.

    Attributes:
        entry: the entry.
        batch: collects the effects.
    """

    entry: Entry
    batch: Batch

    @property
    def cause(self) -> Cause:
        """The command, as an event names it."""
        return cause(self.entry)

    @property
    def time_ms(self) -> int:
        """Stream time of the entry, in milliseconds since 1970."""
        return self.entry.time_ms

    @property
    def recommendation_id(self) -> str:
        """Names the list that the next event holds, by its id."""
        return str(self.batch.coming_event(self.entry))

    def emit(self, data: EventData, *, silent: bool = False) -> EntryId:
        """Emit an event; a silent one is kept as the outcome of its command, and not published."""
        return self.batch.emit(self.entry, data, silent=silent)

    def within(self, collection: Collection) -> CollectionDecision:
        """The same decision, for what it does in one collection."""
        return CollectionDecision(self.entry, self.batch, collection)


@dataclass(frozen=True, slots=True)
class CollectionDecision(Decision):
    """A decision, as far as it concerns one collection."""

    collection: Collection

    @property
    def overlay(self) -> CollectionOverlay:
        """The changes of the batch to the collection's index."""
        return self.batch.overlay(self.collection)


def _shown(data: CommandRejected) -> bytes:
    """The beginning of a rejected message."""
    return b64decode(data.payload) if data.payload_encoding == "base64" else data.payload.encode()


def cause(entry: Entry) -> Cause:
    """How an event names the command it answers."""
    return Cause(id=str(entry.id), key=entry.key)
