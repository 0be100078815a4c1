"""One batch while it is being decided: stream time, events given so far, changes to the indexes."""

from __future__ import annotations

from recommender_engine.items import Cause, CommandRejected, Entry, EntryId, Event, EventData
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.store import Collection, SqliteStore


class Batch:
    """Collects what the entries of one transaction do.

    Attributes:
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
        """Give an event its place in the events stream and remember it for publishing."""
        event = Event(self.next_event(entry), data, silent)
        self._store.outbox.add(event)
        self.events.append(event)
        return event.id

    def reject(self, entry: Entry, data: CommandRejected, payload: bytes | None) -> EntryId:
        """Give a rejection its place; ``payload`` is what its dead letter holds besides."""
        id_ = self.emit(entry, data)
        if payload is not None:
            self._store.outbox.payloads.keep(id_, payload)
        return id_

    def next_event(self, entry: Entry) -> EntryId:
        """The place of the next event."""
        self._last_event = self._last_event.next_at(entry.time_ms)
        return self._last_event

    def overlay(self, collection: Collection) -> CollectionOverlay:
        """The changes to the index of one collection, which has had an item."""
        if collection.id not in self.overlays:
            if collection.dimension is None:
                raise AssertionError("a collection that has had an item has a dimension")
            self.overlays[collection.id] = CollectionOverlay(collection.dimension)
            self.changed[collection.id] = collection
        return self.overlays[collection.id]

    def finish(self) -> None:
        """Record position and last event; the caller commits."""
        self._store.position = self.position
        self._store.clock_ms = self.clock_ms
        self._store.last_event = self._last_event


def cause(entry: Entry) -> Cause:
    """How an event names the command it answers."""
    return Cause(id=str(entry.id), key=entry.key)
