"""An item goes: it is deleted, expires, or its text changes. What was said because of it is corrected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recommender_engine.items import Band, Entry, Revision
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.batch import Batch
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem

# Open questions ("are these two the same?") about one item that are asked anew when it goes.
_MOST_REJUDGED = 20


@dataclass(frozen=True, slots=True)
class Departed:
    """An item that has been taken out.

    Attributes:
        row: as it was.
        before: how the groups stood that its going touches.
    """

    row: StoredItem
    before: Before


class Departures:
    """Takes items out and says what follows from it."""

    def __init__(
        self, store: SqliteStore, arrivals: Arrivals, search: CandidateSearch, corrections: Corrections
    ) -> None:
        self._store = store
        self._arrivals = arrivals
        self._search = search
        self._corrections = corrections

    def take_out(self, row: StoredItem, collection: Collection, batch: Batch) -> Departed:
        """Take an item out, and answer anew the open questions about it."""
        before = self._corrections.note(Before(), collection, [row.group])
        self._take_out(row, collection, batch, before)
        return Departed(row, before)

    def _take_out(self, row: StoredItem, collection: Collection, batch: Batch, before: Before) -> None:
        overlay = batch.overlay(collection)
        asked = self._asked_about(row, collection)
        self._corrections.note(before, collection, [], asked)
        self._arrivals.withdraw(row, overlay)
        for one in asked:
            subject = Subject(one.compared, one.fingerprint, self._store.vectors.get(one.vector), one.at_ms, one.seq)
            verdict = self._arrivals.rejudge(collection, subject, self._search.find(collection, subject, overlay))
            self._store.items.correct(one.seq, verdict)

    def expire(self, rows: Sequence[StoredItem], entry: Entry, collection: Collection, batch: Batch) -> None:
        """Take out items that are gone: what changes for those who stay is said once."""
        before = Before()
        left = self._leave(list(dict.fromkeys(row.group for row in rows if row.group)), collection, before)
        for row in rows:
            self._take_out(row, collection, batch, before)
        self._tell(left, before, entry, collection, batch)

    def settle(self, groups: Iterable[str], entry: Entry, collection: Collection, batch: Batch) -> None:
        """Let groups be without their items that are gone, whose rows are deleted later; and say so."""
        if collection.hidden_ms is None:
            return
        before = Before()
        left = self._leave(list(dict.fromkeys(groups)), collection, before)
        if left:
            self._tell(left, before, entry, collection, batch)

    def _leave(self, groups: Sequence[str], collection: Collection, before: Before) -> dict[str, list[str]]:
        """Take the items that are gone out of groups; their ids by group."""
        left: dict[str, list[Member]] = {}
        for group in groups:
            if members := self._store.groups.gone(group, collection.gone_ms):
                left[group] = members
                first = self._store.groups.first_behind(group, collection.gone_ms)
                also = [] if first is None else self._store.items.by_seq([first]).values()
                self._corrections.note(before, collection, [group], also)
        for group, members in left.items():
            for member in members:
                before.current_verdicts.pop(member.seq, None)
            self._store.groups.leave(group, collection.gone_ms)
        return {group: [member.id for member in members] for group, members in left.items()}

    def _tell(
        self, left: Mapping[str, list[str]], before: Before, entry: Entry, collection: Collection, batch: Batch
    ) -> None:
        for group, ids in left.items():
            if self._store.groups.size(group):
                self._corrections.tell(entry, collection, group, "left", ids, batch)
        self._corrections.publish(before, entry, collection, "item_expired", batch)

    def publish(self, gone: Departed, entry: Entry, collection: Collection, why: Revision, batch: Batch) -> None:
        """Publish what its going changed."""
        self.tell_group(gone, entry, collection, batch)
        self._corrections.publish(gone.before, entry, collection, why, batch)

    def tell_group(self, gone: Departed, entry: Entry, collection: Collection, batch: Batch) -> None:
        """Publish that it left its group, if anybody is left there."""
        group = gone.row.group
        if self._store.groups.size(group):
            self._corrections.tell(entry, collection, group, "left", [gone.row.item.id], batch)

    def _asked_about(self, row: StoredItem, collection: Collection) -> Sequence[StoredItem]:
        asked = self._store.items.matched_with(row.seq, Band.REVIEW, _MOST_REJUDGED)
        asked = self._store.items.visible(asked, collection.hidden_ms)
        rows = self._store.items.by_seq(asked)
        return [rows[seq] for seq in asked]
