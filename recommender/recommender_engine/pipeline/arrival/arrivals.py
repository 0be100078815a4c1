"""An item arrives: candidates are found, it is judged, put into a group and stored."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from recommender_engine.pipeline.arrival.departures import Departed, Departures
from recommender_engine.pipeline.arrival.item_rows import ItemRows
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.groups import GroupAssignment
from recommender_engine.pipeline.dedup.item_verdicts import ItemVerdicts
from recommender_engine.pipeline.prepared import PreparedUpsert
from recommender_engine.policy import Dated
from recommender_engine.store import StoredItem


class Arrived(NamedTuple):
    """An item that has arrived, or whose same text has come again.

    Attributes:
        row: the item as it is stored now.
        candidates: what is near it.
        before: the state of all that it can change for other items.
        departed: the item with its text of before, if that was another.
        novelty: of a new text, see `Novelty`.
    """

    row: StoredItem
    candidates: Candidates
    before: Before
    departed: Departed | None = None
    novelty: float | None = None


class Arrivals:
    """Decides and stores items, one after another."""

    def __init__(
        self,
        search: CandidateSearch,
        verdicts: ItemVerdicts,
        rows: ItemRows,
        departures: Departures,
        novelty: Novelty,
        corrections: Corrections,
    ) -> None:
        self._search = search
        self._verdicts = verdicts
        self._rows = rows
        self._departures = departures
        self._novelty = novelty
        self._corrections = corrections

    def refresh(self, decision: CollectionDecision, upsert: PreparedUpsert, stored: StoredItem) -> Arrived:
        """The same text again: arrival number, group and verdict stay."""
        embedded, collection = upsert.embedded, decision.collection
        subject = Subject(embedded.compared, embedded.fingerprint, embedded.vector, stored.at_ms)
        candidates = self._search.find(collection, subject, decision.overlay, found=upsert.found)
        before = Before()
        if collection.settings.canonical == "longest":  # it may have more white space now
            self._corrections.note(before, collection, [stored.group])
        row = self._rows.refresh(
            collection, stored, embedded, revision=stored.revision + 1, version=_version(upsert, stored)
        )
        return Arrived(row, candidates, before)

    def arrive(self, decision: CollectionDecision, upsert: PreparedUpsert, stored: StoredItem | None) -> Arrived:
        """A new item, or one whose text has changed: it arrives behind all others."""
        embedded, collection = upsert.embedded, decision.collection
        departed = None if stored is None else self._departures.take_out(decision, stored)
        # Even if the server's clock went back, the item arrives after those that have expired.
        at_ms = max(decision.time_ms, collection.expired_ms + 1)
        subject = Subject(embedded.compared, embedded.fingerprint, embedded.vector, at_ms)
        candidates = self._search.find(collection, subject, decision.overlay, found=upsert.found)
        assignment = self._verdicts.decide(
            collection, subject, candidates, settle=partial(self._departures.settle, decision)
        )
        novelty = self._novelty.arrived(collection, assignment.seq, candidates)
        before = self._before(decision, assignment, departed)
        row = self._rows.add(
            decision,
            embedded,
            subject,
            assignment,
            candidates,
            revision=stored.revision + 1 if stored else 1,
            version=_version(upsert, stored),
            happened_ms=_happened_ms(upsert, stored, at_ms),
        )
        if assignment.merges:
            row = self._verdicts.merge(collection, row, assignment, before.moved)
            candidates = candidates.regrouped()
        return Arrived(row, candidates, before, departed, novelty)

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
