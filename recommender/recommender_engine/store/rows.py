"""Rows of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from recommender_engine.items import Band, Item, PairVerdict
from recommender_engine.items.values import AttributeValue

MEMBERS_PER_POINT = 8
"""How many items of one point are looked at: more twins than this add nothing to a verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on an item when it arrived: the best pair, and the arrival number of the other item."""

    pair: PairVerdict | None
    matched_seq: int | None

    @property
    def band(self) -> Band:
        """The band; ``new`` without a pair."""
        return Band.NEW if self.pair is None else self.pair.band


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One row of the items table.

    Attributes:
        seq: order of arrival in the partition; smaller is earlier.
        revision: 1 for a new item, incremented by every change.
        version: the producer's, if given.
        fingerprint: of the canonical text.
        vector: row of its vector.
        point: its label in the vector index, shared with items of (nearly) the same vector.
        group: id of its group.
        verdict: on the best pair at arrival, or as corrected since.
        at_ms: stream time of its arrival.
        cut: the item with its compared text; ``None`` if that is the whole text.
        happened_ms: stream time of what it reports; ``None`` if that is its arrival, 0 if it is not known.
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
    happened_ms: int | None = None

    @property
    def compared(self) -> Item:
        """The item with its compared text."""
        return self.item if self.cut is None else self.cut

    @property
    def compared_text(self) -> str | None:
        """What of its text is compared; ``None`` where that is all of it."""
        return None if self.cut is None else self.cut.content


class LikelyPair(NamedTuple):
    """An item and its matched earlier item.

    Attributes:
        seq, id: of the item.
        other_seq, other_id: of the other.
        probability: stated when the item arrived, in [0, 1].
    """

    seq: int
    id: str
    other_seq: int
    other_id: str
    probability: float


class Member(NamedTuple):
    """An item as a member of its point and group."""

    seq: int
    id: str
    point: int
    group: str


AttributeRow = tuple[int, int, int, dict[str, AttributeValue]]
"""Arrival number, point, stream time of arrival and attributes of an item."""

PolicyKeyOf = tuple[int | None, int | None]
"""Scope and moment of an item, by which policies find earlier items."""


class ItemText(NamedTuple):
    """The text of an item, for comparison.

    Attributes:
        item: with its compared text, without its vector.
        fingerprint: of its canonical text.
        vector: row of its vector.
        at_ms: stream time of its arrival.
    """

    item: Item
    fingerprint: bytes
    vector: int
    at_ms: int
