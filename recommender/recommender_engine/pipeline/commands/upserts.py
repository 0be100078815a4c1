"""``item.upsert``: a new item, a changed text that arrives anew, or the same text again."""

from __future__ import annotations

import time
from functools import partial

from recommender_engine.items import EntryId
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.upsert_events import UpsertEvents
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.outcomes.outcomes import ignore, is_older
from recommender_engine.pipeline.prepared import PreparedUpsert
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.vectors.embedding_step import says_the_same
from recommender_engine.policy import Dated
from recommender_engine.store import SqliteStore, StoredItem


class Upserts:
    """Applies upserts and publishes what they change."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        search: CandidateSearch,
        arrivals: Arrivals,
        departures: Departures,
        expiry: Expiry,
        incidents: Incidents,
        novelty: Novelty,
        events: UpsertEvents,
    ) -> None:
        self._store = store
        self._collections = collections
        self._search = search
        self._arrivals = arrivals
        self._departures = departures
        self._expiry = expiry
        self._incidents = incidents
        self._novelty = novelty
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
        """The same text again: arrival number, group and verdict stay."""
        started, command, embedded = time.perf_counter(), upsert.command, upsert.embedded
        collection = decision.collection
        subject = Subject(embedded.compared, embedded.fingerprint, embedded.vector, stored.at_ms)
        candidates = self._search.find(collection, subject, decision.overlay, found=upsert.found)
        before = self._events.before_refresh(decision, stored)
        row = self._arrivals.refresh(
            collection, stored, embedded, revision=stored.revision + 1, version=_version(upsert, stored)
        )
        outcome = self._events.emit(decision, upsert, row, candidates, started)
        self._events.note_refresh(decision, stored, row)
        if not command.silent:
            self._events.publish_refresh(decision, before)
        return outcome

    def _arrive(self, decision: CollectionDecision, upsert: PreparedUpsert, stored: StoredItem | None) -> EntryId:
        """A new item, or one whose text has changed: it arrives behind all others."""
        started, command, embedded = time.perf_counter(), upsert.command, upsert.embedded
        collection = decision.collection
        departed = None if stored is None else self._departures.take_out(decision, stored)
        # Even if the server's clock went back, the item arrives after those that have expired.
        at_ms = max(decision.time_ms, collection.expired_ms + 1)
        subject = Subject(embedded.compared, embedded.fingerprint, embedded.vector, at_ms)
        candidates = self._search.find(collection, subject, decision.overlay, found=upsert.found)
        assignment = self._arrivals.decide(
            collection, subject, candidates, settle=partial(self._departures.settle, decision)
        )
        novelty = self._novelty.arrived(collection, assignment.seq, candidates)
        before = self._events.before_arrival(decision, assignment, departed)
        self._store.tombstones.remove(collection.id, command.id)
        row = self._arrivals.store(
            decision,
            embedded,
            subject,
            assignment,
            candidates,
            revision=stored.revision + 1 if stored else 1,
            version=_version(upsert, stored),
            happened_ms=_happened_ms(upsert, stored, at_ms),
        )
        self._expiry.arrived(collection, row.at_ms)
        self._store.behaviour.arrived(collection.id, command.id)
        if assignment.merges:
            row = self._arrivals.merge(decision.collection, row, assignment, before.moved)
            candidates = candidates.regrouped()
        outcome = self._events.emit(decision, upsert, row, candidates, started, novelty)
        self._events.note_arrival(decision, row, candidates, departed)
        if not command.silent:
            self._events.publish_arrival(decision, row, before, departed)
        if stored is None:
            self._incidents.arrived(decision, row, silent=command.silent)
        return outcome


def _version(upsert: PreparedUpsert, stored: StoredItem | None) -> int | None:
    """The version of the item from now on; a command without one leaves that of the stored item."""
    version = upsert.command.version
    return stored.version if version is None and stored is not None else version


def _happened_ms(upsert: PreparedUpsert, stored: StoredItem | None, at_ms: int) -> int | None:
    """When what the item reports happened: by its timestamp; of an edited item as before; else as it arrives.

    Of a silent command without a timestamp it is not known (0): it may bring what happened long ago.
    """
    if upsert.embedded.item.timestamp is not None:
        return min(Dated(upsert.embedded.item, at_ms).time_us // 1000, at_ms)
    if stored is not None:
        return stored.at_ms if stored.happened_ms is None else stored.happened_ms
    return 0 if upsert.command.silent else None
