"""``item.upsert``: a new item, a changed text that arrives anew, or the same text again."""

from __future__ import annotations

import time

from recommender_engine.items import EntryId
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.upsert_events import UpsertEvents
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.outcomes.outcomes import ignore, is_older
from recommender_engine.pipeline.prepared import PreparedUpsert
from recommender_engine.pipeline.vectors.embedding_step import says_the_same
from recommender_engine.store import SqliteStore, StoredItem


class Upserts:
    """Applies upserts and publishes what they change."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        arrivals: Arrivals,
        incidents: Incidents,
        events: UpsertEvents,
    ) -> None:
        self._store = store
        self._collections = collections
        self._arrivals = arrivals
        self._incidents = incidents
        self._events = events

    def apply(self, decision: Decision, upsert: PreparedUpsert) -> EntryId:
        """Apply ``item.upsert``; returns the id of its outcome.

        Raises:
            InvalidCommand: it would make one collection too many.
        """
        command = upsert.command
        collection = self._collections.ensure(command.collection, upsert.embedded.model)
        stored = self._store.items.get(collection.id, command.id)
        if is_older(self._store, collection, command, stored, decision.time_ms):
            return ignore(decision, command, "older_version", silent=command.silent)
        here = decision.within(collection)
        if stored is not None and says_the_same(stored, upsert.embedded, self._store):
            return self._refresh(here, upsert, stored)
        return self._arrive(here, upsert, stored)

    def _refresh(self, decision: CollectionDecision, upsert: PreparedUpsert, stored: StoredItem) -> EntryId:
        started = time.perf_counter()
        refreshed = self._arrivals.refresh(decision, upsert, stored)
        outcome = self._events.emit(decision, upsert, refreshed, started)
        self._events.note_refresh(decision, stored, refreshed.row)
        if not upsert.command.silent:
            self._events.publish_refresh(decision, refreshed.before)
        return outcome

    def _arrive(self, decision: CollectionDecision, upsert: PreparedUpsert, stored: StoredItem | None) -> EntryId:
        started, silent = time.perf_counter(), upsert.command.silent
        arrived = self._arrivals.arrive(decision, upsert, stored)
        outcome = self._events.emit(decision, upsert, arrived, started)
        self._events.note_arrival(decision, arrived)
        if not silent:
            self._events.publish_arrival(decision, arrived)
        if stored is None:
            self._incidents.arrived(decision, arrived.row, silent=silent)
        return outcome
