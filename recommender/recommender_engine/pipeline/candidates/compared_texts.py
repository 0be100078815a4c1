"""Which stored items are compared as the rules of now have it; the others wait until they are looked at again."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Sequence

from recommender_engine.items import Item
from recommender_engine.message import Cut, Messages
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem


class ComparedTexts:
    """Tells items of which another text was embedded than would be now: vectors of unlike texts are not compared.

    Args:
        store: the items.
        messages: find what of a text is compared.
    """

    def __init__(self, store: SqliteStore, messages: Messages) -> None:
        self._store = store
        self._messages = messages

    def current(self, collection: Collection, members: Sequence[Member]) -> Sequence[Member]:
        """Those of the items of which the same text would be compared now, in the order given."""
        waiting = {member.seq for member in members if member.seq <= collection.uncut_seq}
        if not waiting:
            return members
        stale = self._stale(collection, waiting)
        return [member for member in members if member.seq not in stale]

    def is_current(self, collection: Collection, seq: int | None) -> bool:
        """The same of one item; one that arrives now is."""
        return seq is None or seq > collection.uncut_seq or not self._stale(collection, [seq])

    def cut(self, collection: Collection, item: Item) -> Item | None:
        """What of an item is compared now; ``None`` where that is all of it."""
        found = self._messages.compared(item, collection.settings)
        return None if found is item else found

    def cuts(self, collection: Collection, stored: StoredItem) -> tuple[Cut, ...]:
        """What was cut of an item; nothing while it waits to be cut by the rules of now."""
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
