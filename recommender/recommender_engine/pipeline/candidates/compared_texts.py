"""Which stored items are compared by the present rules; the others wait until they are cut again."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Sequence

from recommender_engine.items import Item
from recommender_engine.message import Cut, Messages
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem


class ComparedTexts:
    """Finds items whose embedded text differs from what the present rules give: their vectors are not compared.

    Args:
        store: the items.
        messages: find what of a text is compared.
    """

    def __init__(self, store: SqliteStore, messages: Messages) -> None:
        self._store = store
        self._messages = messages

    def current(self, collection: Collection, members: Sequence[Member]) -> Sequence[Member]:
        """Those of the items whose embedded text is that of the present rules, in the order given."""
        waiting = {member.seq for member in members if member.seq <= collection.uncut_seq}
        if not waiting:
            return members
        stale = self._stale(collection, waiting)
        return [member for member in members if member.seq not in stale]

    def is_current(self, collection: Collection, seq: int | None) -> bool:
        """Whether the embedded text of an item is that of the present rules; ``None`` for one that arrives now."""
        return seq is None or seq > collection.uncut_seq or not self._stale(collection, [seq])

    def cut(self, collection: Collection, item: Item) -> Item | None:
        """What is compared of an item by the present rules; ``None`` where that is all of it."""
        found = self._messages.compared(item, collection.settings)
        return None if found is item else found

    def cuts(self, collection: Collection, stored: StoredItem) -> tuple[Cut, ...]:
        """What was cut of an item; nothing while it waits to be cut by the present rules."""
        if stored.cut is None or not self.is_current(collection, stored.seq):
            return ()
        return self._messages.cuts(stored.item, collection.settings)

    def _stale(self, collection: Collection, seqs: Some[int]) -> set[int]:
        rows = self._store.items.by_seq(seqs)
        return {seq for seq, row in rows.items() if not was_compared_as(row, self.cut(collection, row.item))}


def was_compared_as(row: StoredItem, cut: Item | None) -> bool:
    """Whether a stored item was compared with this text."""
    one, other = row.compared, row.item if cut is None else cut
    return (one.text, one.fields) == (other.text, other.fields)
