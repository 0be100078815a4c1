"""What one interaction changes: the item and its partners, the user's profile, the open session.

Co-occurrence inside sessions with exponentially decayed weights, one update per interaction. A session is what a user
does without a pause of an hour. The rings of recent sessions per item are those of Serenade (Kersbergen et al. 2022),
an incremental form of VMIS-kNN.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, Protocol

from recommender_engine.recommend.behaviour.decay import (
    DAY_MS,
    HALF_LIFE_MS,
    POPULAR_HALF_LIFE_MS,
    TRENDING_HALF_LIFE_MS,
    added,
    growth,
)
from recommender_engine.recommend.behaviour.rows import MOST_IN_SESSION, RING, ItemRow, Profile, SessionRow

SESSION_GAP_MS = 3600 * 1000
MOST_PER_DAY = 500
"""So many interactions of one user and day count; more come from a robot."""

FULL_WEIGHT_TO = 25
"""Up to so many items of the session before it, an item is a full partner of each; from there on its weight to all of
them together grows with the square root, so that a wholesale order does not outweigh a hundred small ones."""


class BehaviourRows(Protocol):
    """The rows. A row that is given out may be changed; it is written with the transaction."""

    def item(self, num: int) -> ItemRow | None:
        """The row of an item, if it is there."""

    def profile(self, num: int) -> Profile | None:
        """The profile of a user, if it is there."""

    def session(self, num: int) -> SessionRow | None:
        """A session, if it is there."""

    def open_session(self, collection: int, user: int) -> SessionRow:
        """A new session."""

    def left_ring(self, session: int) -> None:
        """A session stands in one ring less; in none, it goes."""


class Observation(NamedTuple):
    """One interaction, as it is learned from.

    Attributes:
        collection: number of the collection.
        user: number of the user.
        item: number of the item.
        weight: of its kind; below 0: the item is not wanted; of 0 nothing is learned.
        at_ms: its time, in milliseconds since 1970.
        visit: the producer's name for the session; another one begins another session.
        share: of the weight that counts for the item and its partners; the user's profile has all of it.
    """

    collection: int
    user: int
    item: int
    weight: float
    at_ms: int
    visit: str | None = None
    share: float = 1.0


class Behaviour:
    """Learns from interactions, one at a time, in the order of the log."""

    def __init__(self, rows: BehaviourRows) -> None:
        self._rows = rows

    def learn(self, seen: Observation) -> None:
        """Apply one interaction; a robot's does not count."""
        profile, item = self._rows.profile(seen.user), self._rows.item(seen.item)
        if profile is None or item is None or not _counts(profile, seen.at_ms) or not seen.weight:
            return
        profile.rebase(seen.at_ms)
        entry = profile.used(seen.item, seen.at_ms)
        if seen.weight < 0.0:
            entry.dismissed = True
            return
        entry.dismissed = False
        session = self._session(profile, seen)
        before = session.items.pop(seen.item, 0.0)
        context = list(session.items)
        session.items[seen.item] = max(before, seen.weight)
        if len(session.items) > MOST_IN_SESSION:
            del session.items[context[0]]
        gain = seen.weight - before
        if gain <= 0.0:
            return
        entry.weight += gain * growth(seen.at_ms, profile.base_ms)
        entry.count += not before
        if evidence := gain * seen.share:
            spread = min(1.0, sqrt(FULL_WEIGHT_TO / (1.0 + len(context))))
            self._learn_item(item, seen.at_ms, evidence, first=not before)
            self._learn_pairs(item, context, seen.at_ms, evidence * spread)
        if not before:
            self._enter(item, session)

    def context(self, seen: Observation) -> list[int]:
        """Numbers of the items of the session that an interaction joins, oldest first, before it is learned.

        None where it begins a session, does not count or says that the item is not wanted.
        """
        profile = self._rows.profile(seen.user)
        if profile is None or seen.weight <= 0.0 or not _may_count(profile, seen.at_ms):
            return []
        session = self._open(profile, seen)
        return [] if session is None else list(session.items)

    def _session(self, profile: Profile, seen: Observation) -> SessionRow:
        """The session it belongs to; one that comes late has a session of its own."""
        found = self._open(profile, seen)
        if found is not None:
            profile.session_ms = max(profile.session_ms, seen.at_ms)
            return found
        opened = self._rows.open_session(seen.collection, profile.num)
        if not _late(profile, seen):
            profile.session, profile.session_ms, profile.visit = opened.num, seen.at_ms, seen.visit
        return opened

    def _open(self, profile: Profile, seen: Observation) -> SessionRow | None:
        """The open session, if it belongs to that."""
        same_visit = seen.visit is None or seen.visit == profile.visit
        here = not _late(profile, seen) and seen.at_ms - profile.session_ms <= SESSION_GAP_MS
        return self._rows.session(profile.session) if profile.session and same_visit and here else None

    def _learn_item(self, item: ItemRow, at_ms: int, gain: float, *, first: bool) -> None:
        item.rebase(at_ms)
        item.count += first
        item.total = added(item.total, gain, at_ms, HALF_LIFE_MS)
        item.popular = added(item.popular, gain, at_ms, POPULAR_HALF_LIFE_MS)
        item.trending = added(item.trending, gain, at_ms, TRENDING_HALF_LIFE_MS)

    def _learn_pairs(self, item: ItemRow, context: list[int], at_ms: int, weight: float) -> None:
        mine = weight * growth(at_ms, item.base_ms)
        for num in context:
            other = self._rows.item(num)
            if other is not None:
                other.rebase(at_ms)
                item.pair(num, mine)
                other.pair(item.num, weight * growth(at_ms, other.base_ms))

    def _enter(self, item: ItemRow, session: SessionRow) -> None:
        if session.num in item.ring:
            return
        session.rings += 1
        item.ring.append(session.num)
        if len(item.ring) > RING:
            self._rows.left_ring(item.ring.pop(0))


def _late(profile: Profile, seen: Observation) -> bool:
    return seen.at_ms < profile.session_ms - SESSION_GAP_MS


def _may_count(profile: Profile, at_ms: int) -> bool:
    """Whether one more interaction of the day counts."""
    return at_ms // DAY_MS != profile.day or profile.day_count < MOST_PER_DAY


def _counts(profile: Profile, at_ms: int) -> bool:
    """Count an interaction of the day; whether it is one of those that count.

    One of an earlier day counts on the latest: else a robot would begin anew with each day that it names.
    """
    day = at_ms // DAY_MS
    if day > profile.day:
        profile.day, profile.day_count = day, 0
    profile.day_count += 1
    return profile.day_count <= MOST_PER_DAY
