"""An item goes: it is deleted, expires, or its text changes. What was published because of it is corrected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recommender_engine.items import Band, Revision
from recommender_engine.pipeline.arrival.item_rows import ItemRows
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.item_verdicts import ItemVerdicts
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem

# Review questions ("are these two the same?") about one item that are judged again when it goes.
_MOST_REJUDGED = 20


@dataclass(frozen=True, slots=True)
class Departed:
    """An item that has been taken out.

    Attributes:
        row: the item as it was stored.
        before: the state of the groups that its departure changes.
    """

    row: StoredItem
    before: Before


class Departures:
    """Takes items out and publishes what follows from it."""

    def __init__(
        self,
        store: SqliteStore,
        verdicts: ItemVerdicts,
        rows: ItemRows,
        corrections: Corrections,
        changed_lists: ChangedLists,
    ) -> None:
        self._store = store
        self._verdicts = verdicts
        self._rows = rows
        self._corrections = corrections
        self._changed_lists = changed_lists

    def take_out(self, decision: CollectionDecision, row: StoredItem) -> Departed:
        """Take an item out, and judge again the items that are in review because of it."""
        before = self._corrections.note(Before(), decision.collection, [row.group])
        self._take_out(decision, row, before)
        return Departed(row, before)

    def _take_out(self, decision: CollectionDecision, row: StoredItem, before: Before) -> None:
        in_review = self._in_review_with(row, decision.collection)
        self._corrections.note(before, decision.collection, [], in_review)
        self._rows.remove(row, decision.overlay)
        for one in in_review:
            self._store.items.correct(one.seq, self._verdicts.rejudge(decision, one))

    def expire(self, decision: CollectionDecision, rows: Sequence[StoredItem]) -> None:
        """Take out expired items: what changes for those that stay is published once."""
        before = Before()
        left = self._leave(decision.collection, (row.group for row in rows if row.group), before)
        for row in rows:
            self._take_out(decision, row, before)
        self._publish_expiry(decision, left, before)

    def settle(self, decision: CollectionDecision, groups: Iterable[str]) -> None:
        """Take expired items out of groups, and publish that; their rows are deleted later."""
        if decision.collection.hidden_ms is None:
            return
        before = Before()
        left = self._leave(decision.collection, groups, before)
        if left:
            self._publish_expiry(decision, left, before)

    def _leave(self, collection: Collection, groups: Iterable[str], before: Before) -> dict[str, list[str]]:
        """Take the expired items out of groups; their ids by group."""
        left: dict[str, list[Member]] = {}
        for group in dict.fromkeys(groups):
            if members := self._store.groups.expired(group, collection.expired_ms):
                left[group] = members
                first = self._store.groups.first_behind(group, collection.expired_ms)
                also = [] if first is None else self._store.items.by_seq([first]).values()
                self._corrections.note(before, collection, [group], also)
        for group, members in left.items():
            for member in members:
                before.current_verdicts.pop(member.seq, None)
            self._store.groups.leave(group, collection.expired_ms)
        return {group: [member.id for member in members] for group, members in left.items()}

    def _publish_expiry(self, decision: CollectionDecision, left: Mapping[str, list[str]], before: Before) -> None:
        for group, ids in left.items():
            if self._store.groups.size(group):
                self._corrections.publish_group(decision, group, "left", ids)
        self._corrections.publish(decision, before, "item_expired")

    def publish(self, decision: CollectionDecision, departed: Departed, why: Revision) -> None:
        """Publish what the departure changed."""
        self.publish_group(decision, departed)
        self._corrections.publish(decision, departed.before, why)

    def publish_group(self, decision: CollectionDecision, departed: Departed) -> None:
        """Publish that the item left its group, unless the group is empty now."""
        group = departed.row.group
        if self._store.groups.size(group):
            self._corrections.publish_group(decision, group, "left", [departed.row.item.id])

    def forget(self, decision: CollectionDecision, item_id: str) -> None:
        """An item is deleted: what its behaviour taught goes, and lists that may hold it are made again."""
        self._store.behaviour.departed(decision.collection.id, item_id)
        self._changed_lists.departed(decision, item_id)

    def _in_review_with(self, row: StoredItem, collection: Collection) -> Sequence[StoredItem]:
        seqs = self._store.items.matched_with(row.seq, Band.REVIEW, _MOST_REJUDGED)
        seqs = self._store.items.visible(seqs, collection.hidden_ms)
        rows = self._store.items.by_seq(seqs)
        return [rows[seq] for seq in seqs]
