"""An item goes: it is deleted, expires, or its text changes. What was said because of it is corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recommender.items import Band, Entry, Revision
from recommender.pipeline.arrivals import Arrivals
from recommender.pipeline.batch import Batch
from recommender.pipeline.corrections import Before, Corrections
from recommender.pipeline.requery import Requery
from recommender.pipeline.subject import Subject
from recommender.store import Collection, SqliteStore, StoredItem

# Open questions ("are these two the same?") about one item that are asked anew when it goes.
_MOST_REJUDGED = 20


@dataclass(frozen=True, slots=True)
class Gone:
    """An item that has been taken out.

    Attributes:
        row: as it was.
        before: how the groups stood that its going touches.
    """

    row: StoredItem
    before: Before


class Departures:
    """Takes items out and says what follows from it."""

    def __init__(self, store: SqliteStore, arrivals: Arrivals, requery: Requery, corrections: Corrections) -> None:
        self._store = store
        self._arrivals = arrivals
        self._requery = requery
        self._corrections = corrections

    def take_out(self, row: StoredItem, collection: Collection, batch: Batch, before: Before | None = None) -> Gone:
        """Take an item out, and answer anew the open questions about it.

        Args:
            before: how things stood before others that go at the same moment.
        """
        overlay = self._requery.overlay(collection, batch)
        asked = self._asked_about(row)
        before = self._corrections.note(before or Before(), collection, [row.group], asked)
        self._arrivals.withdraw(row, overlay)
        for one in asked:
            subject = Subject(one.item, one.fingerprint, self._store.vectors.get(one.vector), one.at_ms, one.seq)
            hints, surroundings = self._requery.around(collection, subject, batch)
            verdict = self._arrivals.rejudge(collection, subject, hints, surroundings)
            self._store.items.correct(one.seq, verdict)
        return Gone(row, before)

    def take_out_all(
        self, rows: Sequence[StoredItem], entry: Entry, collection: Collection, batch: Batch, why: Revision
    ) -> None:
        """Take out items that go at the same moment: what changes for those who stay is said once."""
        before, left = Before(), dict[str, list[str]]()
        for row in rows:
            self.take_out(row, collection, batch, before)
            left.setdefault(row.group, []).append(row.item.id)
        for group, ids in left.items():
            if self._store.groups.size(group):
                self._corrections.tell(entry, collection, group, "left", ids, batch)
        self._corrections.publish(before, entry, collection, why, batch)

    def publish(self, gone: Gone, entry: Entry, collection: Collection, why: Revision, batch: Batch) -> None:
        """Publish what its going changed."""
        self.tell_group(gone, entry, collection, batch)
        self._corrections.publish(gone.before, entry, collection, why, batch)

    def tell_group(self, gone: Gone, entry: Entry, collection: Collection, batch: Batch) -> None:
        """Publish that it left its group, if anybody is left there."""
        group = gone.row.group
        if self._store.groups.size(group):
            self._corrections.tell(entry, collection, group, "left", [gone.row.item.id], batch)

    def _asked_about(self, row: StoredItem) -> Sequence[StoredItem]:
        asked = self._store.items.matched_with(row.seq, Band.REVIEW, _MOST_REJUDGED)
        rows = self._store.items.by_seq(asked)
        return [rows[seq] for seq in asked]
