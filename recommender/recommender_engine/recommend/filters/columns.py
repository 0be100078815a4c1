"""Attributes of many items in columns: of each attribute the values of one type in an array, with their rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items.values import AttributeValue
from recommender_engine.recommend.filters.typed import Part, stored

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]

_LEAST_DEAD = 1_000
_DEAD_SHARE = 4
_EMPTY_COLUMN_BYTES = 400


class Elements(NamedTuple):
    """Values of one type, in no order; a list has several in one row.

    Attributes:
        rows: int32, shape (n,).
        numbers: int64, or float64 for ``Part.NUMBER``, shape (n,).
    """

    rows: NDArray[np.int32]
    numbers: NDArray[np.int64] | NDArray[np.float64]


class Column:
    """The values of one attribute."""

    __slots__ = ("parts",)

    def __init__(self, parts: Mapping[Part, Elements]) -> None:
        self.parts = {part: elements for part, elements in parts.items() if len(elements.rows)}

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return _EMPTY_COLUMN_BYTES + sum(one.rows.nbytes + one.numbers.nbytes for one in self.parts.values())

    def without(self, rows: Mask) -> Column:
        """The column without the values of some rows."""
        kept = {part: (~rows[one.rows], one) for part, one in self.parts.items()}
        return Column({part: Elements(one.rows[keep], one.numbers[keep]) for part, (keep, one) in kept.items()})

    def with_rows(self, numbers: NDArray[np.int32]) -> Column:
        """The column with other numbers of its rows: ``numbers[row]``."""
        return Column({part: Elements(numbers[one.rows], one.numbers) for part, one in self.parts.items()})

    def with_column(self, other: Column) -> Column:
        """The values of both."""
        parts = dict(self.parts)
        for part, added in other.parts.items():
            more = added
            if (mine := parts.get(part)) is not None:
                more = Elements(np.concatenate([mine.rows, more.rows]), np.concatenate([mine.numbers, more.numbers]))
            parts[part] = more
        return Column(parts)


class ColumnBuilder:
    """Collects the values of one attribute."""

    def __init__(self) -> None:
        self._rows: dict[Part, array[int]] = {part: array("i") for part in Part}
        self._numbers: dict[Part, Any] = {part: array("d" if part.is_real else "q") for part in Part}

    def add(self, row: int, value: AttributeValue) -> None:
        """The value of a row."""
        for part, number in stored(value):
            self._rows[part].append(row)
            self._numbers[part].append(number)

    def build(self) -> Column:
        """All that was added."""
        return Column(
            {
                part: Elements(np.array(self._rows[part], np.int32), np.array(self._numbers[part]))
                for part in Part
                if self._rows[part]
            }
        )


Row = tuple[int, int, int, Mapping[str, AttributeValue]]
"""Arrival number, label in the vector index, stream time of arrival and attributes of an item."""


class Columns:
    """The items of one collection, a row each, with columns of some of their attributes.

    Attributes:
        seqs: arrival numbers, ascending, int64, shape (rows,).
        points: labels in the vector index, int64, shape (rows,).
        arrived_ms: stream times of arrival, int64, shape (rows,).
        live: which rows are items, bool, shape (rows,); the others have gone.
        named: columns by attribute.
        version: counts the changes of items.
    """

    def __init__(self, rows: Iterable[Row], names: Sequence[str]) -> None:
        facts: tuple[array[int], array[int], array[int]] = (array("q"), array("q"), array("q"))
        builders = {name: ColumnBuilder() for name in names}
        for number, (seq, point, at_ms, attributes) in enumerate(rows):
            for kept, fact in zip(facts, (seq, point, at_ms), strict=True):
                kept.append(fact)
            _add(builders, number, attributes)
        self.seqs, self.points, self.arrived_ms = (np.array(one, np.int64) for one in facts)
        self.live: Mask = np.ones(len(self.seqs), np.bool_)
        self.version = 0
        self.named = {name: builder.build() for name, builder in builders.items()}

    def __len__(self) -> int:
        """Rows, with those that are no items any more."""
        return len(self.seqs)

    @property
    def nbytes(self) -> int:
        """Size in bytes, without the columns of attributes."""
        return int(self.seqs.nbytes + self.points.nbytes + self.arrived_ms.nbytes + self.live.nbytes)

    def add_columns(self, rows: Iterable[Row], names: Sequence[str]) -> None:
        """Columns of more attributes.

        Args:
            rows: of the items there are, in order.
            names: of the attributes.
        """
        builders = {name: ColumnBuilder() for name in names}
        for number, row in zip(np.flatnonzero(self.live).tolist(), rows, strict=True):
            _add(builders, number, row[3])
        self.named.update((name, builder.build()) for name, builder in builders.items())

    def replace(self, changed: Sequence[int], rows: Iterable[Row]) -> bool:
        """Bring some items up to date; false where they cannot be put in order, and nothing was done.

        Args:
            changed: arrival numbers of items that came, changed or went, ascending.
            rows: those of them that are there, in order.
        """
        seqs, found = np.array(changed, np.int64), list(rows)
        places = np.searchsorted(self.seqs, seqs)
        known = places < len(self.seqs)
        known[known] = self.seqs[places[known]] == seqs[known]
        row_of = dict(zip(seqs[known].tolist(), places[known].tolist(), strict=True))
        fresh = [row for row in found if row[0] not in row_of]
        if fresh and len(self.seqs) and fresh[0][0] < self.seqs[-1]:
            return False
        self.version += 1
        old = np.zeros(len(self.seqs), np.bool_)
        old[places[known]] = True
        self.live &= ~old
        if old.any():
            self.named = {name: column.without(old) for name, column in self.named.items()}
        row_of.update((row[0], number) for number, row in enumerate(fresh, len(self.seqs)))
        self._append(fresh)
        self._write(found, row_of)
        self._compact()
        return True

    def _append(self, fresh: list[Row]) -> None:
        self.seqs = np.concatenate([self.seqs, np.array([row[0] for row in fresh], np.int64)])
        more = np.zeros(len(fresh), np.int64)
        self.points, self.arrived_ms = (np.concatenate([one, more]) for one in (self.points, self.arrived_ms))
        self.live = np.concatenate([self.live, more.astype(np.bool_)])

    def _write(self, found: list[Row], row_of: Mapping[int, int]) -> None:
        builders = {name: ColumnBuilder() for name in self.named}
        for seq, point, at_ms, attributes in found:
            number = row_of[seq]
            self.points[number], self.arrived_ms[number], self.live[number] = point, at_ms, True
            _add(builders, number, attributes)
        for name, builder in builders.items():
            self.named[name] = self.named[name].with_column(builder.build())

    def _compact(self) -> None:
        """Drop the rows of items that have gone, once there are many."""
        dead = len(self.live) - int(np.count_nonzero(self.live))
        if dead <= max(_LEAST_DEAD, len(self.live) // _DEAD_SHARE):
            return
        numbers = (np.cumsum(self.live) - 1).astype(np.int32)
        self.named = {name: column.with_rows(numbers) for name, column in self.named.items()}
        self.seqs, self.points, self.arrived_ms = (one[self.live] for one in (self.seqs, self.points, self.arrived_ms))
        self.live = np.ones(len(self.seqs), np.bool_)


def _add(builders: Mapping[str, ColumnBuilder], row: int, attributes: Mapping[str, AttributeValue]) -> None:
    for name, builder in builders.items():
        if name in attributes:
            builder.add(row, attributes[name])
