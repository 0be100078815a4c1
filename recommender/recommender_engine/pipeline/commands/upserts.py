"""``item.upsert``: a new item, a changed text that arrives anew, or the same text again."""

from __future__ import annotations

import time
from functools import partial

from recommender_engine.grouping import founded_by
from recommender_engine.items import EntryId, ItemProcessed, Revision, Timings
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.arrival.departures import Departed, Departures
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.groups import GroupAssignment, Groups
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.outcomes.outcomes import Outcomes, ignore, is_older
from recommender_engine.pipeline.prepared import PreparedUpsert
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.vectors.embedding_step import Embedded, says_the_same
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
        groups: Groups,
        recommendations: Recommendations,
        current_verdicts: CurrentVerdicts,
        corrections: Corrections,
        outcomes: Outcomes,
        incidents: Incidents,
        novelty: Novelty,
    ) -> None:
        self._store = store
        self._collections = collections
        self._search = search
        self._arrivals = arrivals
        self._departures = departures
        self._expiry = expiry
        self._groups = groups
        self._recommendations = recommendations
        self._current_verdicts = current_verdicts
        self._corrections = corrections
        self._outcomes = outcomes
        self._incidents = incidents
        self._novelty = novelty

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
        before = Before()
        if collection.settings.canonical == "longest":  # it may have more white space now
            self._corrections.note(before, collection, [stored.group])
        row = self._arrivals.refresh(
            collection, stored, embedded, revision=stored.revision + 1, version=_version(upsert, stored)
        )
        event = self._processed(decision, row, embedded, candidates, started)
        outcome = self._outcomes.emit(decision, event, event.band, silent=command.silent)
        if not command.silent:
            self._corrections.publish(decision, before, "item_changed")
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
        before = self._before(decision, assignment, departed)
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
            row = self._merge(decision, row, assignment, before)
            candidates = candidates.regrouped()
        event = self._processed(decision, row, embedded, candidates, started, novelty)
        outcome = self._outcomes.emit(decision, event, event.band, silent=command.silent)
        if not command.silent:
            self._publish(decision, row, before, departed)
        if stored is None:
            self._incidents.arrived(decision, row, silent=command.silent)
        return outcome

    def _before(self, decision: CollectionDecision, assignment: GroupAssignment, departed: Departed | None) -> Before:
        """The state of all that the arrival can change for other items."""
        collection = decision.collection
        before = Before() if departed is None else departed.before
        if assignment.merges:
            groups = [assignment.group, *assignment.merges]
            return self._corrections.note(before, collection, groups, shapes=True)
        if collection.settings.canonical != "earliest":
            return self._corrections.note(before, collection, [assignment.group])
        return before  # an item that joins a group comes last, and nothing changes for those that came before it

    def _merge(
        self, decision: CollectionDecision, row: StoredItem, assignment: GroupAssignment, before: Before
    ) -> StoredItem:
        kept = row.group
        for group in assignment.merges:
            kept = self._groups.merge(decision.collection, kept, group, before.moved, because=assignment.because)
        before.moved.pop(row.seq, None)  # it has just come
        return self._store.items.by_seq([row.seq])[row.seq]

    def _publish(
        self, decision: CollectionDecision, row: StoredItem, before: Before, departed: Departed | None
    ) -> None:
        """Publish what else the arrival changed: groups, and verdicts that named its old text."""
        rejoined = departed is not None and departed.row.group == row.group
        if not rejoined and row.group != founded_by(row.seq):
            self._corrections.publish_group(decision, row.group, "joined", [row.item.id])
        if departed is not None and not rejoined:
            self._departures.publish_group(decision, departed)
        why: Revision = "groups_merged" if departed is None else "item_changed"
        self._corrections.publish(decision, before, why)

    def _processed(
        self,
        decision: CollectionDecision,
        row: StoredItem,
        embedded: Embedded,
        candidates: Candidates,
        started: float,
        novelty: float | None = None,
    ) -> ItemProcessed:
        collection = decision.collection
        current = self._current_verdicts.of(row, collection)
        return ItemProcessed(
            command=decision.cause,
            item_id=row.item.id,
            collection=collection.name,
            revision=row.revision,
            **current.fields(),
            recommendations=self._recommendations.of(collection, candidates, but=row.group),
            novelty=novelty,
            truncated=embedded.truncated,
            model=embedded.model.key,
            timings=Timings(embed_ms=embedded.embed_ms, decide_ms=round((time.perf_counter() - started) * 1000, 3)),
        )


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
