"""Attributes of the items of a collection in columns: read at first use, brought up to date at each later one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence, Set
from sys import getsizeof

from recommender_engine.recommend.filters.columns import Columns
from recommender_engine.recommend.filters.typed import forget_strings
from recommender_engine.store import AttributeRow, SqliteStore

MOST_BYTES = 256 * 2**20
"""Of all columns; those asked for longest ago go first, but none that the present filter reads."""

_A_COLLECTION = 4_000  # bytes, besides its columns
_MOST_NAMES = (
    10_000  # of attributes of one collection; with more, a name that no item has is looked for among the items
)


class AttributeColumns:
    """Keeps columns of the attributes that filters have asked for, within a bound in bytes.

    What a transaction changes is read again at the next use, also after a rollback.

    Args:
        store: the items.
        most_bytes: the bound.
    """

    def __init__(self, store: SqliteStore, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._most = most_bytes
        self._columns: dict[int, Columns] = {}
        self._names: dict[int, set[str]] = {}
        self._shrunk: set[int] = set()  # from which values have gone since the last erasure
        self._bytes: dict[int, int] = {}
        self._asked: OrderedDict[tuple[int, str], None] = OrderedDict()
        self.kept_bytes = 0
        """Estimated bytes of all columns."""
        store.on_retire(self._forget)

    def of(self, collection: int, names: Sequence[str]) -> Columns:
        """The items of a collection as they stand now, with columns of these attributes; of one that no item has, none.

        Args:
            collection: its number.
            names: of attributes.
        """
        columns = self._columns.get(collection)
        changed = self._store.items.changes.take(collection)
        if columns is None or changed is None or not self._follow(collection, columns, changed):
            columns = self._read(collection, [*names, *(columns.named if columns is not None else ())])
        missing = [name for name in names if name not in columns.named and self._may_exist(collection, name)]
        if missing:
            known = self._names.setdefault(collection, set())
            columns.add_columns(self._named(known, self._store.items.attributes(collection)), missing)
        self._count(collection, columns, names)
        return columns

    def current(self, columns: Columns) -> bool:
        """Whether these are the columns that are kept of a collection."""
        return any(one is columns for one in self._columns.values())

    def forget_erased(self) -> None:
        """Drop what has gone from the items: something of it was erased, now or after it had gone."""
        forget_strings()
        for collection, columns in list(self._columns.items()):
            changed = self._store.items.changes.take(collection)
            if changed is None or not self._follow(collection, columns, changed):
                self._forget(collection)
            elif collection in self._shrunk:
                self._shrunk.discard(collection)
                self._names.pop(collection, None)  # read again when the next column is
                for name in [name for name, column in columns.named.items() if not column.parts]:
                    del columns.named[name], self._asked[collection, name]
                self._count(collection, columns, ())

    def names(self, collection: int) -> set[str]:
        """Names of the attributes that items have or have had, of a collection that was asked for."""
        return self._names.get(collection, set())

    def _read(self, collection: int, names: Sequence[str]) -> Columns:
        self._forget(collection)
        self._store.items.changes.watch(collection)
        known = self._names[collection] = set[str]()
        rows = self._named(known, self._store.items.attributes(collection))
        columns = self._columns[collection] = Columns(rows, tuple(dict.fromkeys(names)))
        columns.named = {name: one for name, one in columns.named.items() if one.parts}
        return columns

    def _follow(self, collection: int, columns: Columns, changed: Sequence[int]) -> bool:
        """Bring columns up to date; false where the collection is to be read again."""
        if not changed:
            return True
        self._shrunk.add(collection)
        known = self._names.get(collection)
        rows = self._store.items.attributes(collection, changed)
        return columns.replace(changed, rows if known is None else self._named(known, rows))

    def _named(self, known: set[str], rows: Iterator[AttributeRow]) -> Iterator[AttributeRow]:
        for row in rows:
            if len(known) <= _MOST_NAMES:
                known.update(row[3])
            yield row

    def _may_exist(self, collection: int, name: str) -> bool:
        known = self._names.get(collection)
        return known is None or name in known or len(known) > _MOST_NAMES

    def _count(self, collection: int, columns: Columns, names: Sequence[str]) -> None:
        for name in columns.named:
            self._asked.setdefault((collection, name))
        for name in names:
            if name in columns.named:
                self._asked.move_to_end((collection, name))
        names_bytes = sum(map(getsizeof, self._names.get(collection, ())))
        self._set_bytes(collection, _A_COLLECTION + columns.nbytes + names_bytes + _bytes_of(columns))
        if self.kept_bytes > self._most:
            self._make_room(collection, {(collection, name) for name in names})

    def _make_room(self, present: int, needed: Set[tuple[int, str]]) -> None:
        """Drop columns that are not needed now, and with its last column all that is kept of another collection."""
        for collection, name in [key for key in self._asked if key not in needed]:
            columns = self._columns[collection]
            column = columns.named.pop(name)
            del self._asked[collection, name]
            self._set_bytes(collection, self._bytes[collection] - column.nbytes)
            if collection != present and not columns.named:
                self._forget(collection)
            if self.kept_bytes <= self._most:
                return
        for collection in [one for one in self._columns if one != present]:
            self._forget(collection)

    def _set_bytes(self, collection: int, count: int) -> None:
        self.kept_bytes += count - self._bytes.get(collection, 0)
        self._bytes[collection] = count

    def _forget(self, collection: int) -> None:
        columns = self._columns.pop(collection, None)
        for name in columns.named if columns is not None else ():
            self._asked.pop((collection, name), None)
        self._names.pop(collection, None)
        self._shrunk.discard(collection)
        self.kept_bytes -= self._bytes.pop(collection, 0)
        self._store.items.changes.forget(collection)


def _bytes_of(columns: Columns) -> int:
    return sum(column.nbytes for column in columns.named.values())
