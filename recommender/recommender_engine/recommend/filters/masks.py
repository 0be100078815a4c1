"""Which rows of columns pass an expression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import ge, gt, le, lt
from typing import Any

import numpy as np

from recommender_engine.recommend.filters.columns import Column, Mask
from recommender_engine.recommend.filters.expression import Compares, Equals, Every, Exists, Expression, Not, Some
from recommender_engine.recommend.filters.typed import Part, Typed

_FEW = 8
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


def mask(expression: Expression, columns: Mapping[str, Column], rows: int) -> Mask:
    """Which rows pass, shape (rows,).

    Args:
        expression: the filter.
        columns: by attribute; all that the expression reads.
        rows: how many there are.
    """
    match expression:
        case Every(parts):
            found = np.ones(rows, np.bool_)
            for part in parts:
                found &= mask(part, columns, rows)
            return found
        case Some(parts):
            found = np.zeros(rows, np.bool_)
            for part in parts:
                found |= mask(part, columns, rows)
            return found
        case Not(part):
            return ~mask(part, columns, rows)
        case Equals(attribute, _, values):
            return _rows_of(rows, _equal(columns[attribute], values))
        case Compares(attribute, operator, value):
            return _rows_of(rows, _compared(columns[attribute], operator, value))
        case Exists(attribute):
            return _rows_of(rows, (one.rows for one in columns[attribute].parts.values()))


def _rows_of(rows: int, parts: Iterable[Any]) -> Mask:
    found = np.zeros(rows, np.bool_)
    for numbers in parts:
        found[numbers] = True
    return found


def _equal(column: Column, values: tuple[Typed, ...]) -> Iterable[Any]:
    by_part: dict[Part, list[int | float]] = {}
    for part, number in values:
        by_part.setdefault(part, []).append(number)
    for part, numbers in by_part.items():
        if (elements := column.parts.get(part)) is None:
            continue
        if len(numbers) <= _FEW:
            for number in numbers:
                yield elements.rows[elements.numbers == number]
            continue
        wanted = np.unique(np.array(numbers, elements.numbers.dtype))
        places = np.minimum(np.searchsorted(wanted, elements.numbers), len(wanted) - 1)
        yield elements.rows[wanted[places] == elements.numbers]


def _compared(column: Column, operator: str, value: Typed) -> Iterable[Any]:
    if (elements := column.parts.get(value.part)) is not None:
        yield elements.rows[_COMPARISONS[operator](elements.numbers, value.number)]
    if value.part is Part.NUMBER and (large := column.parts.get(Part.LARGE)) is not None:
        # Between integers, so that nothing is rounded; a fraction is cut, since it is nearer to zero than all of them.
        yield large.rows[_COMPARISONS[operator](large.numbers, int(value.number))]
