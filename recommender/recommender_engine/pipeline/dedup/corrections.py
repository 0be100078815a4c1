"""Corrections of earlier verdicts and groups: what has changed is published, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from recommender_engine.items import Band, GroupChange, GroupChanged, ItemRevised, Revision
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdict, CurrentVerdicts
from recommender_engine.pipeline.dedup.groups import Moved
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import Collection, SqliteStore, StoredItem

# In a larger group only items whose band can change are read; `group.changed` covers the rest.
_LARGEST_GROUP = 100
# How many ids an event lists.
_LISTED = 100


@dataclass(frozen=True, slots=True)
class Before:
    """How some groups stood before a change.

    Attributes:
        current_verdicts: by arrival number.
        canonical: id of the canonical item by group.
        shapes: groups that may merge or split.
        moved: items that changed their group since, as they were before.
    """

    current_verdicts: dict[int, CurrentVerdict] = field(default_factory=dict)
    canonical: dict[str, str] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    moved: Moved = field(default_factory=dict)


class Corrections:
    """Compares how groups stand before and after a change, and publishes the differences."""

    def __init__(self, store: SqliteStore, current_verdicts: CurrentVerdicts, changed_lists: ChangedLists) -> None:
        self._store = store
        self._changed_lists = changed_lists
        self._current_verdicts = current_verdicts

    def note(
        self,
        before: Before,
        collection: Collection,
        groups: Iterable[str],
        also: Iterable[StoredItem] = (),
        *,
        shapes: bool = False,
    ) -> Before:
        """Note how groups, and single items, stand, unless it has been noted.

        Args:
            before: where to note it; returned.
            shapes: whether the groups may merge or split.
        """
        for group in dict.fromkeys(groups):
            if shapes and group not in before.shapes:
                before.shapes.append(group)
            for row, current in self._group(collection, group):
                before.current_verdicts.setdefault(row.seq, current)
                before.canonical.setdefault(group, current.canonical_id)
        for row in also:
            if row.seq not in before.current_verdicts:
                before.current_verdicts[row.seq] = self._current_verdicts.of(row, collection)
        return before

    def publish(self, decision: CollectionDecision, before: Before, why: Revision) -> None:
        """Publish groups that merged or split, new canonical items, then every verdict that differs."""
        collection = decision.collection
        for group in before.shapes:
            self._publish_moves(decision, before, group)
        for group, was in before.canonical.items():
            now = self._store.groups.canonical([group], collection.settings.canonical).get(group)
            if now is not None and now != was:
                self.publish_group(decision, group, "canonical_changed", [now])
            if now != was or group in before.shapes:
                self._changed_lists.changed(decision, was)  # lists hold the canonical item
        for seq, row in sorted(self._store.items.by_seq(list(before.current_verdicts)).items()):
            was_current, current = before.current_verdicts[seq], self._current_verdicts.of(row, collection)
            if _differs(was_current, current):
                decision.emit(_revised(decision, row, was_current, current, why))

    def _publish_moves(self, decision: CollectionDecision, before: Before, group: str) -> None:
        now_in: dict[str, list[str]] = {}
        for now in self._store.items.by_number([seq for seq, was in before.moved.items() if was.group == group]):
            now_in.setdefault(now.group, []).append(now.id)
        now_in.pop(group, None)
        for other, ids in now_in.items():
            if not self._store.groups.size(group):
                self.publish_group(decision, other, "merged", ids, other_group=group)
                continue
            self.publish_group(decision, group, "split", ids, other_group=other)
            if other in before.shapes:
                self.publish_group(decision, other, "joined", ids)

    def publish_group(
        self,
        decision: CollectionDecision,
        group: str,
        change: GroupChange,
        items: Sequence[str],
        other_group: str | None = None,
    ) -> None:
        """Publish that a group has changed."""
        collection = decision.collection
        decision.emit(
            GroupChanged(
                command=decision.cause,
                collection=collection.name,
                group=group,
                change=change,
                items=tuple(items[:_LISTED]),
                other_group=other_group,
                canonical_id=self._store.groups.canonical([group], collection.settings.canonical).get(group),
                size=self._store.groups.size(group),
            )
        )

    def _group(self, collection: Collection, group: str) -> list[tuple[StoredItem, CurrentVerdict]]:
        size = self._store.groups.size(group)
        return self._current_verdicts.of_group(group, collection, size if size <= _LARGEST_GROUP else 2)


def _differs(one: CurrentVerdict, other: CurrentVerdict) -> bool:
    if (one.band, one.duplicate_of) != (other.band, other.duplicate_of):
        return True
    return other.band is Band.REVIEW and one.matched_id != other.matched_id


def _revised(
    decision: CollectionDecision, row: StoredItem, was: CurrentVerdict, now: CurrentVerdict, why: Revision
) -> ItemRevised:
    return ItemRevised(
        command=decision.cause,
        item_id=row.item.id,
        collection=decision.collection.name,
        revision=row.revision,
        cause=why,
        previous_band=was.band,
        previous_duplicate_of=was.duplicate_of,
        **now.fields(),
    )
