"""The rows of a file as items, each id once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from celery_recommender.records.mapping import ItemMapping, NoItem, Remark
from celery_recommender.records.rows import BadRow, Row
from recommender_engine.errors import InvalidCommand


class OnRepeat(StrEnum):
    """The treatment of a row whose id an earlier one has."""

    ERROR = "error"
    LAST = "last"
    SUFFIX = "suffix"


class ItemRow(NamedTuple):
    """One row, and the item that it is.

    Attributes:
        row: as it was read.
        item: the data of an ``item.upsert`` command, or why there is none.
        remarks: what is odd in it.
        repeats: number of the earlier row with the same id, if there is one.
    """

    row: Row | BadRow
    item: dict[str, Any] | BadRow
    remarks: tuple[Remark, ...] = ()
    repeats: int | None = None


class Items(Iterator[ItemRow]):
    """Makes items of rows, and sees ids that come again; takes some hundred bytes of memory for each id.

    Args:
        rows: of a file, from the first, so that repeats of earlier rows are found.
        mapping: what is what.
        on_repeat: ``error`` leaves out a row whose id has been there, ``last`` has it take the place of the earlier,
            ``suffix`` gives it the id with ``-2``, ``-3`` … behind it.
        check: refuses an item by ``InvalidCommand``.

    Attributes:
        replaced: by number of a row that a later one has replaced, the number of that one; only with ``last``.
    """

    def __init__(
        self,
        rows: Iterable[Row | BadRow],
        mapping: ItemMapping,
        on_repeat: OnRepeat = OnRepeat.ERROR,
        check: Callable[[dict[str, Any]], object] | None = None,
    ) -> None:
        self._rows = iter(rows)
        self._mapping = mapping
        self._on_repeat = on_repeat
        self._check = check
        self._seen: dict[str, int] = {}
        self._suffixes: dict[str, int] = {}
        self._above: tuple[str, int] | None = None
        self.replaced: dict[int, int] = {}

    def __next__(self) -> ItemRow:
        row = next(self._rows)
        if isinstance(row, BadRow):
            self._above = None
            return ItemRow(row, row)
        item, remarks = self._mapping.read(row)
        if isinstance(item, BadRow):
            return self._no_item(row, item)
        try:
            if self._check is not None:
                self._check(item)
        except InvalidCommand as error:
            self._above = None
            return ItemRow(row, BadRow(row.number, f"{error.code}: {error}", error.code, row.values))
        return self._once(row, item, remarks)

    def _no_item(self, row: Row, bad: BadRow) -> ItemRow:
        """A row without a text under one of the same id continues it, as variants of a product do."""
        id_ = self._mapping.id_of(row)
        if bad.kind == NoItem.NO_TEXT and id_ is not None and self._above is not None and self._above[0] == id_:
            text = f"no text: it continues row {self._above[1]}, whose id it has"
            return ItemRow(row, BadRow(row.number, text, NoItem.CONTINUES, row.values))
        self._above = None
        return ItemRow(row, bad)

    def _once(self, row: Row, item: dict[str, Any], remarks: tuple[Remark, ...]) -> ItemRow:
        id_ = item["id"]
        self._above = (id_, row.number)
        first = self._seen.get(id_)
        if first is None:
            self._seen[id_] = row.number
            return ItemRow(row, item, remarks)
        if self._on_repeat is OnRepeat.ERROR:
            bad = BadRow(row.number, f"the id of row {first} once more", NoItem.REPEATED_ID, row.values)
            return ItemRow(row, bad, (), first)
        if self._on_repeat is OnRepeat.LAST:
            self.replaced[first] = self._seen[id_] = row.number
            return ItemRow(row, item, remarks, first)
        item["id"] = self._suffixed(id_)
        self._seen[item["id"]] = row.number
        return ItemRow(row, item, remarks, first)

    def _suffixed(self, id_: str) -> str:
        number = self._suffixes.get(id_, 2)
        while f"{id_}-{number}" in self._seen:
            number += 1
        self._suffixes[id_] = number + 1
        return f"{id_}-{number}"
