"""The rows of behaviour: an item with its partners, a user's profile, a session. Each encodes itself."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import islice
from operator import neg
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recommend.behaviour.decay import REBASE_MS, growth
from recommender_engine.recommend.behaviour.encoding import (
    decoded_numbers,
    decoded_partners,
    decoded_weights,
    encoded_numbers,
    encoded_partners,
    encoded_weights,
    single_precision,
)

MOST_PARTNERS = 256
KEPT_PARTNERS = 192
"""A list of partners is cut to its heaviest so many when it has more than ``MOST_PARTNERS``."""

RING = 200
"""So many of its latest sessions an item knows."""

MOST_IN_SESSION = 100
MOST_IN_PROFILE = 128


@dataclass(slots=True)
class ItemRow:
    """What is known of one item from behaviour.

    Attributes:
        num: its number, which stays while the item has a row.
        base_ms: base of the weights of partners.
        count: interactions that counted, without repeats inside a session.
        total: level of the weights of its interactions; ``None`` before the first.
        popular: the same with a half-life of seven days.
        trending: the same with a half-life of one day.
        partners: weights by number of the other item, as sums with the base, each a float32: what is read again is
            what was written.
        ring: numbers of the latest sessions with it, oldest first.
    """

    num: int
    base_ms: int
    count: int = 0
    total: float | None = None
    popular: float | None = None
    trending: float | None = None
    partners: dict[int, float] = field(default_factory=dict)
    ring: list[int] = field(default_factory=list)

    def rebase(self, now_ms: int) -> None:
        """Scale the weights to a new base if the old one is too long ago."""
        if now_ms - self.base_ms > REBASE_MS:
            factor = growth(self.base_ms, now_ms)
            self.partners = {num: single_precision(weight * factor) for num, weight in self.partners.items()}
            self.base_ms = now_ms

    def pair(self, other: int, weight: float) -> None:
        """Add to the weight of a partner; the list is cut when it is full."""
        partners = self.partners
        partners[other] = single_precision(partners.get(other, 0.0) + weight)
        if len(partners) > MOST_PARTNERS:
            heaviest = sorted(zip(map(neg, partners.values()), partners, strict=True))
            self.partners = {num: -weight for weight, num in islice(heaviest, KEPT_PARTNERS)}

    def encoded(self) -> tuple[bytes, bytes]:
        """The partners and the ring as they are stored."""
        return encoded_partners(self.partners), encoded_numbers(self.ring)

    @classmethod
    def decoded(cls, num: int, partners: bytes, ring: bytes, *others: Any) -> Self:
        """The row of what is stored; ``others`` are the attributes from ``base_ms`` to ``trending``."""
        row = cls(num, *others)
        row.partners, row.ring = decoded_partners(partners), decoded_numbers(ring)
        return row


@dataclass(slots=True)
class ProfileItem:
    """What a user did with one item.

    Attributes:
        weight: sum of the weights, with the base of the profile.
        count: sessions in which it was used.
        last_s: when last, in seconds since 1970, at most the year 2106.
        dismissed: whether the last word was that it is not wanted.
    """

    weight: float = 0.0
    count: int = 0
    last_s: int = 0
    dismissed: bool = False


_ENTRY = struct.Struct("<IIHHd")
_ENTRY_ARRAY = np.dtype([("num", "<u4"), ("last_s", "<u4"), ("count", "<u2"), ("dismissed", "<u2"), ("weight", "<f8")])
_MOST_S = 2**32 - 1


@dataclass(slots=True)
class Profile:
    """A user or an anonymous session, as the items show them.

    Attributes:
        num: number of the user.
        base_ms: base of the weights.
        items: by number, in the order of their last use.
        session: number of the open session; 0 is none.
        session_ms: time of its last interaction.
        visit: the producer's name for it, if it gives one.
        day: latest day since 1970 with an interaction, and …
        day_count: … how many came since its first.
    """

    num: int
    base_ms: int
    items: dict[int, ProfileItem] = field(default_factory=dict)
    session: int = 0
    session_ms: int = 0
    visit: str | None = None
    day: int = 0
    day_count: int = 0

    def rebase(self, now_ms: int) -> None:
        """Scale the weights to a new base if the old one is too long ago."""
        if now_ms - self.base_ms > REBASE_MS:
            factor = growth(self.base_ms, now_ms)
            for one in self.items.values():
                one.weight *= factor
            self.base_ms = now_ms

    def used(self, num: int, at_ms: int) -> ProfileItem:
        """The entry of an item, moved to the end; of too many one goes."""
        entry = self.items.pop(num, None) or ProfileItem()
        if len(self.items) >= MOST_IN_PROFILE:
            self._drop_one()
        self.items[num] = entry
        entry.last_s = max(entry.last_s, min(at_ms // 1000, _MOST_S))
        return entry

    def liked(self) -> dict[int, float]:
        """Weights of the items without those that are not wanted, by number."""
        return {num: one.weight for num, one in self.items.items() if not one.dismissed and one.weight > 0.0}

    def merge(self, other: Profile) -> None:
        """Add what another profile knows; of an item in both, the later word on dismissal holds."""
        factor = growth(other.base_ms, self.base_ms)
        for num, theirs in other.items.items():
            mine = self.items.setdefault(num, ProfileItem())
            if theirs.last_s >= mine.last_s:
                mine.dismissed = theirs.dismissed
            mine.weight += theirs.weight * factor
            mine.count += theirs.count
            mine.last_s = max(mine.last_s, theirs.last_s)
        self.items = dict(sorted(self.items.items(), key=lambda one: one[1].last_s))
        while len(self.items) > MOST_IN_PROFILE:
            self._drop_one()
        if other.session_ms >= self.session_ms:
            self.session, self.session_ms, self.visit = other.session, other.session_ms, other.visit
        if other.day > self.day:
            self.day, self.day_count = other.day, other.day_count
        elif other.day == self.day:
            self.day_count += other.day_count

    def _drop_one(self) -> None:
        """Drop the item with the least weight; where most are dismissed, which have none, the oldest of these."""
        dismissed = [num for num, one in self.items.items() if one.dismissed]
        if 2 * len(dismissed) > len(self.items):
            del self.items[dismissed[0]]
        else:
            wanted = [(one.weight, num) for num, one in self.items.items() if not one.dismissed]
            del self.items[min(wanted)[1]]

    def encoded(self) -> bytes:
        """The entries, 20 bytes each."""
        return b"".join(
            _ENTRY.pack(num, one.last_s, min(one.count, 65535), one.dismissed, one.weight)
            for num, one in self.items.items()
        )

    @classmethod
    def decoded(cls, num: int, base_ms: int, data: bytes, *others: Any) -> Self:
        """The profile of a row; ``others`` are the attributes behind ``items``, in their order."""
        items = {
            item: ProfileItem(weight, uses, last_s, bool(dismissed))
            for item, last_s, uses, dismissed, weight in _ENTRY.iter_unpack(data)
        }
        return cls(num, base_ms, items, *others)


def liked_in(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and weights of ``Profile.liked``, shape (n,) each, of an encoded profile."""
    entries = np.frombuffer(data, _ENTRY_ARRAY)
    liked = entries[(entries["dismissed"] == 0) & (entries["weight"] > 0.0)]
    return liked["num"].astype(np.int64), liked["weight"].astype(np.float64)


@dataclass(slots=True)
class SessionRow:
    """What one user did without a long pause.

    Attributes:
        num: its number; later sessions have higher ones.
        user: number of the user.
        items: weight that counted, by number of the item, in the order of the last use; the latest hundred.
        rings: in so many rings of items it stands; in none, it goes.
    """

    num: int
    user: int
    items: dict[int, float] = field(default_factory=dict)
    rings: int = 0

    def encoded(self) -> bytes:
        """The items as they are stored."""
        return encoded_weights(self.items)

    @classmethod
    def decoded(cls, num: int, user: int, items: bytes, rings: int) -> Self:
        """The session of what is stored."""
        return cls(num, user, decoded_weights(items), rings)
