"""Items as the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from recommender_engine.items import Band, Item, PairVerdict

MEMBERS_PER_POINT = 8
"""How many items of one point are looked at: more twins than this add nothing to a verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about an item when it arrived: the best pair, and the arrival number of the other side."""

    pair: PairVerdict | None
    matched_seq: int | None

    @property
    def band(self) -> Band:
        """``new`` when there was nothing to compare with."""
        return Band.NEW if self.pair is None else self.pair.band


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One row of the items table.

    Attributes:
        seq: order of arrival in the partition; smaller is earlier.
        revision: 1 for a new item, counted up by every change.
        version: the producer's, if it gives one.
        fingerprint: of the canonical text.
        vector: row of its vector.
        point: its label in the vector index, shared with items of (nearly) the same vector.
        group: the group it belongs to.
        verdict: on the best pair when it arrived, or as corrected since.
        at_ms: stream time of its arrival.
        cut: the item with what is compared for its text; ``None`` where that is all of it.
    """

    seq: int
    collection: int
    item: Item
    revision: int
    version: int | None
    fingerprint: bytes
    vector: int
    point: int
    group: str
    verdict: Verdict
    at_ms: int
    cut: Item | None = None

    @property
    def compared(self) -> Item:
        """The item as it is compared."""
        return self.item if self.cut is None else self.cut


class LikelyPair(NamedTuple):
    """An item and the earlier one that it was matched with.

    Attributes:
        seq, id: of the item.
        other_seq, other_id: of the other.
        probability: that was stated when the item arrived, in [0, 1].
    """

    seq: int
    id: str
    other_seq: int
    other_id: str
    probability: float


class Member(NamedTuple):
    """An item as its point or group knows it."""

    seq: int
    id: str
    point: int
    group: str


PolicyKeyOf = tuple[int | None, int | None]
"""Scope and moment of an item: where it stands among those that later ones may repeat."""


class ItemText(NamedTuple):
    """The text of an item, for comparison.

    Attributes:
        item: as it is compared, without its vector.
        fingerprint: of its canonical text.
        vector: row of its vector.
        at_ms: stream time of its arrival.
    """

    item: Item
    fingerprint: bytes
    vector: int
    at_ms: int
