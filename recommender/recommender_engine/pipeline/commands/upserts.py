"""What ``item.upsert`` does: a new item, a changed text that arrives anew, or the same text again."""

from __future__ import annotations

import time

from recommender_engine.errors import InvalidCommand
from recommender_engine.grouping import founded_by
from recommender_engine.items import Entry, EntryId, ItemProcessed, Revision, Timings, UpsertItem
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.arrival.departures import Departed, Departures
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.groups import GroupAssignment, Groups
from recommender_engine.pipeline.prepared import Prepared
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.stream_time.outcomes import Outcomes, is_older
from recommender_engine.pipeline.vectors.embedding_step import Embedded, says_the_same
from recommender_engine.store import Collection, SqliteStore, StoredItem


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

    def apply(self, prepared: Prepared, command: UpsertItem, batch: Batch) -> EntryId:
        """Apply one upsert; returns the id of its outcome.

        Raises:
            InvalidCommand: the item could not be embedded.
        """
        if isinstance(prepared.embedded, InvalidCommand):
            raise prepared.embedded
        if prepared.embedded is None:
            raise AssertionError("an upsert that is not a repeat has been prepared")
        collection = self._collections.ensure(command.collection, prepared.embedded.model)
        stored = self._store.items.get(collection.id, command.id)
        if is_older(self._store, collection, command, stored, prepared.entry.time_ms):
            return self._outcomes.ignore(prepared.entry, command, "older_version", batch)
        if stored is not None and says_the_same(stored, prepared.embedded, self._store):
            return self._refresh(prepared, prepared.embedded, command, stored, collection, batch)
        return self._arrive(prepared, prepared.embedded, command, stored, collection, batch)

    def _refresh(
        self,
        prepared: Prepared,
        embedded: Embedded,
        command: UpsertItem,
        stored: StoredItem,
        collection: Collection,
        batch: Batch,
    ) -> EntryId:
        """The same text again: it keeps its place."""
        started = time.perf_counter()
        subject = Subject(embedded.compared, embedded.fingerprint, embedded.vector, stored.at_ms)
        candidates = self._search.find(collection, subject, batch.overlay(collection), found=prepared.found)
        version = stored.version if command.version is None else command.version
        before = Before()
        if collection.settings.canonical == "longest":  # it may have more white space now
            self._corrections.note(before, collection, [stored.group])
        row = self._arrivals.refresh(collection, stored, embedded, revision=stored.revision + 1, version=version)
        event = self._processed(prepared.entry, collection, row, embedded, candidates, started)
        outcome = self._outcomes.emit(prepared.entry, collection, event, event.band, command.silent, batch)
        if not command.silent:
            self._corrections.publish(before, prepared.entry, collection, "item_changed", batch)
        return outcome

    def _arrive(
        self,
        prepared: Prepared,
        embedded: Embedded,
        command: UpsertItem,
        stored: StoredItem | None,
        collection: Collection,
        batch: Batch,
    ) -> EntryId:
        """A new item, or one whose text has changed: it arrives behind all others."""
        started, entry = time.perf_counter(), prepared.entry
        gone = None if stored is None else self._departures.take_out(stored, collection, batch)
        # Even if the server's clock went back, the item arrives after those that have expired.
        at_ms = max(entry.time_ms, collection.gone_ms + 1)
        subject = Subject(embedded.compared, embedded.fingerprint, embedded.vector, at_ms)
        candidates = self._search.find(collection, subject, batch.overlay(collection), found=prepared.found)
        place = self._arrivals.decide(
            collection,
            subject,
            candidates,
            settle=lambda groups: self._departures.settle(groups, entry, collection, batch),
        )
        before = self._before(collection, place, gone)
        self._store.tombstones.remove(collection.id, command.id)
        row = self._arrivals.store(
            collection,
            embedded,
            subject,
            place,
            candidates,
            batch.overlay(collection),
            revision=stored.revision + 1 if stored else 1,
            version=command.version if command.version is not None or stored is None else stored.version,
        )
        self._expiry.arrived(collection, row.at_ms)
        if place.merges:
            row = self._merge(collection, row, place, before)
            candidates = candidates.regrouped()
        event = self._processed(entry, collection, row, embedded, candidates, started)
        outcome = self._outcomes.emit(entry, collection, event, event.band, command.silent, batch)
        if not command.silent:
            self._publish(entry, collection, row, before, gone, batch)
        return outcome

    def _before(self, collection: Collection, place: GroupAssignment, gone: Departed | None) -> Before:
        """How everything stands that the arrival can change for others than itself."""
        before = Before() if gone is None else gone.before
        if place.merges:
            return self._corrections.note(before, collection, [place.group, *place.merges], shapes=True)
        if collection.settings.canonical != "earliest":
            return self._corrections.note(before, collection, [place.group])
        return before  # whoever joins a group comes last, and nothing changes for those who came before

    def _merge(self, collection: Collection, row: StoredItem, place: GroupAssignment, before: Before) -> StoredItem:
        kept = row.group
        for group in place.merges:
            kept = self._groups.merge(collection, kept, group, before.moved, because=place.because)
        before.moved.pop(row.seq, None)  # it has just come
        return self._store.items.by_seq([row.seq])[row.seq]

    def _publish(
        self,
        entry: Entry,
        collection: Collection,
        row: StoredItem,
        before: Before,
        gone: Departed | None,
        batch: Batch,
    ) -> None:
        """Publish what else the arrival changed: groups, and what spoke of its old text."""
        rejoined = gone is not None and gone.row.group == row.group
        if not rejoined and row.group != founded_by(row.seq):
            self._corrections.tell(entry, collection, row.group, "joined", [row.item.id], batch)
        if gone is not None and not rejoined:
            self._departures.tell_group(gone, entry, collection, batch)
        why: Revision = "groups_merged" if gone is None else "item_changed"
        self._corrections.publish(before, entry, collection, why, batch)

    def _processed(
        self,
        entry: Entry,
        collection: Collection,
        row: StoredItem,
        embedded: Embedded,
        candidates: Candidates,
        started: float,
    ) -> ItemProcessed:
        current = self._current_verdicts.of(row, collection)
        return ItemProcessed(
            command=cause(entry),
            item_id=row.item.id,
            collection=collection.name,
            revision=row.revision,
            **current.fields(),
            recommendations=self._recommendations.of(collection, candidates, but=row.group),
            truncated=embedded.truncated,
            model=embedded.model.key,
            timings=Timings(embed_ms=embedded.embed_ms, decide_ms=round((time.perf_counter() - started) * 1000, 3)),
        )
