"""A cache of recently read items."""

from __future__ import annotations

from collections.abc import Iterable
from sys import getsizeof

from recommender_engine.items import Item
from recommender_engine.items.values import AttributeValue
from recommender_engine.recent import Recent
from recommender_engine.store.rows import MEMBERS_PER_POINT, ItemText, Member, StoredItem

# Size of the cache in bytes; items with longer texts are not cached.
_TEXTS_KEPT = 48 * 2**20
_A_TEXT, _AN_ATTRIBUTE = 1400, 40
LONGEST_KEPT = 4000  # characters
_POINTS_KEPT = 32_768
_GROUPS_KEPT = 32_768
_NAMED_KEPT = 65_536
_A_POINT, _A_GROUP, _NAMED = 500, 260, 450  # bytes


class RecentItems:
    """A cache of recently read items. Every write to the table invalidates its entries here.

    Attributes:
        texts: compared texts of items, by arrival number.
        members: the earliest items of a point.
        named: items of groups, by collection and id.
        canonical: id of the canonical item of a group, by group and rule.
    """

    def __init__(self) -> None:
        self.texts: Recent[int, ItemText] = Recent(_TEXTS_KEPT, _size_of)
        self.members: Recent[int, list[Member]] = Recent(_POINTS_KEPT)
        self.named: Recent[tuple[int, str], Member] = Recent(_NAMED_KEPT)
        self.canonical: dict[str, Recent[str, str]] = {}

    @property
    def kept_bytes(self) -> int:
        """Estimated bytes of the cache."""
        groups = sum([len(chosen) for chosen in self.canonical.values()])
        return self.texts.weight + _A_POINT * len(self.members) + _NAMED * len(self.named) + _A_GROUP * groups

    def canonical_by(self, rule: str) -> Recent[str, str]:
        """Canonical ids under a rule, by group."""
        if rule not in self.canonical:
            self.canonical[rule] = Recent(_GROUPS_KEPT)
        return self.canonical[rule]

    def made(self, point: int) -> None:
        """Add a point without items."""
        self.members.put(point, [])

    def arrived(self, row: StoredItem) -> None:
        """Update for a new item, the latest of all."""
        if (members := self.members.get(row.point)) is not None and len(members) < MEMBERS_PER_POINT:
            members.append(Member(row.seq, row.item.id, row.point, row.group))
        self.regrouped(row.group)
        if len(row.compared.content) <= LONGEST_KEPT:
            text = _without_vector(row.compared)
            self.texts.put(row.seq, ItemText(text, row.fingerprint, row.vector, row.at_ms))

    def left(self, collection: int, id_: str, seq: int, *points: int, group: str) -> None:
        """Update for an item that was deleted, or went from one point to another."""
        self.texts.drop(seq)
        self.named.drop((collection, id_))
        for point in points:
            self.members.drop(point)
        self.regrouped(group)

    def regrouped(self, group: str) -> None:
        """Invalidate the canonical item of a group."""
        for chosen in self.canonical.values():
            chosen.drop(group)

    def rearranged(self, moved: Iterable[tuple[int, str]]) -> None:
        """Invalidate after items changed their group.

        Args:
            moved: collection and id of each.
        """
        for key in moved:
            self.named.drop(key)
        self.members.clear()
        self.canonical.clear()

    def clear(self) -> None:
        """Clear the cache."""
        self.texts.clear()
        self.named.clear()
        self.rearranged(())


def _size_of(seq: int, text: ItemText) -> int:
    """Estimated bytes of a text."""
    item = text.item
    attributes = [_AN_ATTRIBUTE + getsizeof(name) + _size_of_value(value) for name, value in item.attributes.items()]
    return _A_TEXT + getsizeof(item.content) + sum(attributes)


def _size_of_value(value: AttributeValue) -> int:
    return getsizeof(value) + (sum(map(getsizeof, value)) if isinstance(value, list) else 0)


def _without_vector(item: Item) -> Item:
    """An item in the form in which it is read."""
    return Item.model_construct(
        id=item.id,
        collection=item.collection,
        text=item.text,
        fields=item.fields,
        attributes=item.attributes,
        timestamp=item.timestamp,
        vector=None,
    )
