"""Finds by an index what the policy of a collection lets an item repeat, however many items it excludes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from recommender_engine.items import ConfigureCollection, Item, TickClock
from recommender_engine.items.command import Command
from recommender_engine.items.commands import RejectedCommand
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.policy import NOWHERE, Dated, PolicyKey, allows, policy_key, reach, restricts
from recommender_engine.store import Collection, Member, PolicyQuery, SqliteStore
from recommender_engine.store.policy_keys import LAST_SEQ, Sharing

# How many items get their policy key under new settings before one command; more before one that lets time pass.
SORTED_AT_ONCE = 100
_ON_A_TICK = 1000
# An item is compared with all that it may repeat, if they are no more than this; else with the nearest of them.
FEW = 1000


class Allowed(NamedTuple):
    """What a subject may repeat.

    Attributes:
        collection: in which it is.
        later: the subject.
        sought: its policy keys; ``None`` if it may repeat nothing.
    """

    collection: Collection
    later: Dated
    sought: PolicyQuery | None


def policy_key_of(collection: Collection, item: Item, at_ms: int) -> PolicyKey:
    """The policy key of an item: later items find by it what they may repeat."""
    return (
        policy_key(collection.settings, collection.id, Dated(item, at_ms))
        if restricts(collection.settings)
        else NOWHERE
    )


class PolicyIndex:
    """Finds what an item may repeat, in collections whose policy restricts it.

    When the settings change, the items get new policy keys a few at a time, the latest first. Those that have old keys
    are read one by one, so that the result is the same.
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._last: tuple[Subject, Allowed] | None = None

    def allowed(self, collection: Collection, subject: Subject) -> Allowed:
        """What a subject may repeat; kept for the decision."""
        if self._last is None or self._last[0] is not subject:
            self._last = subject, self._allowed(collection, subject)
        return self._last[1]

    def _allowed(self, collection: Collection, subject: Subject) -> Allowed:
        later = Dated(subject.item, subject.at_ms)
        found = reach(collection.settings, collection.id, later)
        if found is None:
            return Allowed(collection, later, None)
        own = self._store.items.named(collection.id, [subject.item.id]) if subject.seq is None else []
        sought = PolicyQuery(
            *found,
            behind=collection.unsorted_seq,
            but=own[0].seq if own else 0,
            hidden_ms=collection.hidden_ms,
            before=LAST_SEQ if subject.seq is None else subject.seq,
        )
        return Allowed(collection, later, sought)

    def twin(self, collection: Collection, subject: Subject) -> Member | None:
        """The earliest item with the same text that a subject may repeat."""
        allowed = self.allowed(collection, subject)
        if allowed.sought is None:
            return None
        found = self._earliest(allowed, "fingerprint", [subject.fingerprint], subject)
        return next(iter(self._store.items.by_number(found)), None)

    def on_points(self, collection: Collection, subject: Subject, points: Iterable[int], most: int) -> list[Member]:
        """Of each point, in their order, the earliest item that a subject may repeat; ``most`` points at most."""
        allowed = self.allowed(collection, subject)
        found: list[int] = []
        asked = list(points)
        for start in range(0, len(asked), 2 * most):
            if allowed.sought is None or len(found) >= most:
                break
            found += self._earliest(allowed, "point", asked[start : start + 2 * most], subject)
        by_seq = {member.seq: member for member in self._store.items.by_number(found[:most])}
        return [by_seq[seq] for seq in found[:most]]

    def few_points(self, collection: Collection, subject: Subject) -> list[int] | None:
        """The points of all that a subject may repeat, if those are few, else ``None``."""
        sought = self.allowed(collection, subject).sought
        if sought is None:
            return []
        return self._store.policy_index.points(sought, FEW)

    def points_chooser(self, collection: Collection, subject: Subject) -> Callable[[Sequence[int]], list[int]]:
        """Chooses points that have an item which a subject may repeat."""
        allowed = self.allowed(collection, subject)

        def choose(points: Sequence[int]) -> list[int]:
            if allowed.sought is None:
                return []
            found = self._store.policy_index.earliest("point", points, allowed.sought)
            return [point for point, seq in zip(points, found, strict=True) if seq]

        return choose

    def items_chooser(self, collection: Collection, subject: Subject) -> Callable[[Sequence[int]], list[int]]:
        """Chooses arrival numbers of items that a subject may repeat."""
        allowed = self.allowed(collection, subject)

        def choose(seqs: Sequence[int]) -> list[int]:
            if allowed.sought is None:
                return []
            known = set(self._store.policy_index.among(seqs, allowed.sought))
            waiting = [seq for seq in seqs if seq <= allowed.sought.behind and seq < allowed.sought.before]
            waiting = self._store.items.visible(waiting, allowed.sought.hidden_ms)
            texts = self._store.items.texts(waiting, collection.name) if waiting else {}
            known.update(
                seq
                for seq, one in texts.items()
                if one.item.id != subject.item.id
                and allows(collection.settings, allowed.later, Dated(one.item, one.at_ms))
            )
            return [seq for seq in seqs if seq in known]

        return choose

    def assign_keys(self, command: Command | RejectedCommand) -> None:
        """Give some items their policy keys under the present settings; to be called before each command."""
        self._last = None
        if isinstance(command, ConfigureCollection):
            return
        collection = self._collections.unsorted()
        if collection is None:
            return
        limit = _ON_A_TICK if isinstance(command, TickClock) else SORTED_AT_ONCE
        rows = self._store.policy_index.slice(collection.id, collection.unsorted_seq, limit, collection.name)
        self._store.policy_index.put([(seq, policy_key_of(collection, item, at_ms)) for seq, item, at_ms in rows])
        collection.unsorted_seq = rows[-1][0] - 1 if len(rows) == limit else 0
        self._collections.touch(collection)

    def _earliest(
        self, allowed: Allowed, sharing: Sharing, values: Sequence[bytes | int], subject: Subject
    ) -> list[int]:
        """The earliest allowed item of each text or point that has one."""
        collection, later, sought = allowed
        if sought is None:
            return []
        earliest = self._store.policy_index.earliest(sharing, values, sought)
        if sought.behind:
            for position, value in enumerate(values):
                waiting = self._store.policy_index.unsorted(collection.id, sharing, value, sought, collection.name)
                for member, text in waiting:
                    if subject.comes_after(member) and allows(collection.settings, later, Dated(text.item, text.at_ms)):
                        earliest[position] = member.seq
                        break
        return [seq for seq in earliest if seq]
