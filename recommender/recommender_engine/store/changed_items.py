"""Which items have changed since what is kept of them was last brought up to date."""

from __future__ import annotations

import sqlite3

MOST_CHANGED = 20_000  # of one collection, and ten times as many of all
"""More changes are not remembered: then it is cheaper to read the collection again."""


class ChangedItems:
    """Arrival numbers of items that came, changed or went, in collections of which something is kept outside of here.

    A rollback repeats what was taken in its transaction, so what is kept is read again.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._changed: dict[int, set[int]] = {}
        self._count = 0
        self._taken: dict[int, set[int]] = {}  # in a transaction that may not be committed yet
        self._begun: set[int] = set()  # watched since such a transaction

    def watch(self, collection: int) -> None:
        """All of its items are being read now; remember changes from here on."""
        self.forget(collection)
        self._changed[collection] = set()
        if self._db.in_transaction:
            self._begun.add(collection)

    def note(self, collection: int, seq: int) -> None:
        """An item has come, changed or gone."""
        changed = self._changed.get(collection)
        if changed is None or seq in changed:
            return
        changed.add(seq)
        self._count += 1
        if len(changed) > MOST_CHANGED or self._count > 10 * MOST_CHANGED:
            self.forget(collection)

    def take(self, collection: int) -> list[int] | None:
        """The changes since the last time, ascending; ``None`` if all items are to be read again (`watch`)."""
        changed = self._changed.get(collection)
        if changed is None:
            return None
        if not self._db.in_transaction:
            self._taken.pop(collection, None)
            self._begun.discard(collection)
        elif changed:
            taken = self._taken.setdefault(collection, set())
            taken |= changed
            if len(taken) > MOST_CHANGED:
                self._begun.add(collection)
                taken.clear()
        self._changed[collection] = set()
        self._count -= len(changed)
        return sorted(changed)

    def forget(self, collection: int) -> None:
        """Nothing of it is kept any more."""
        self._count -= len(self._changed.pop(collection, ()))
        self._taken.pop(collection, None)
        self._begun.discard(collection)

    def rolled_back(self) -> None:
        """What was taken in the transaction holds no longer."""
        for collection in list(self._begun):
            self.forget(collection)
        taken, self._taken = self._taken, {}
        for collection, seqs in taken.items():
            for seq in seqs:
                self.note(collection, seq)
