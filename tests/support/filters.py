"""The meaning of a filter in plain Python, and random filters, to compare with the answers of columns."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

CATEGORIES = ("mugs", "plates", "bowls", "Mugs", "größe")
TAGS = ("new", "sale", "blue", "red", "2026-01-01")
DATES = (
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "2026-02-01T12:30:00+02:00",
    "2025-12-31T23:59:59.5Z",
    "2024-02-29 10:00",
)


def passes(filter_: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Whether an item with these attributes passes."""
    return all(_entry(name, value, attributes) for name, value in filter_.items())


def _entry(name: str, value: Any, attributes: Mapping[str, Any]) -> bool:
    if name == "$and":
        return all(passes(one, attributes) for one in value)
    if name == "$or":
        return any(passes(one, attributes) for one in value)
    if name == "$not":
        return not passes(value, attributes)
    held = attributes.get(name)
    values = [one for one in (held if isinstance(held, list) else [held]) if one is not None]
    return all(_holds(operator, operand, values) for operator, operand in _operators(value).items())


def _operators(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"$eq": value}


def _holds(operator: str, operand: Any, values: list[Any]) -> bool:
    if operator == "$exists":
        return bool(values) is operand
    if operator == "$not":
        return not all(_holds(one, other, values) for one, other in operand.items())
    if operator in ("$eq", "$ne"):
        return any(_same(one, operand) for one in values) is (operator == "$eq")
    if operator in ("$in", "$nin"):
        return any(_same(one, other) for one in values for other in operand) is (operator == "$in")
    return any(_in_order(operator, one, operand) for one in values)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        moments = _moment(one), _moment(other)
        return one == other if None in moments else moments[0] == moments[1]
    return isinstance(one, str) is isinstance(other, str) and one == other


def _in_order(operator: str, one: Any, bound: Any) -> bool:
    if isinstance(one, bool) or isinstance(one, str) is not isinstance(bound, str):
        return False
    if isinstance(one, str):
        one, bound = _moment(one), _moment(bound)
        if one is None:
            return False
    return {"$gt": one > bound, "$gte": one >= bound, "$lt": one < bound, "$lte": one <= bound}[operator]


def _moment(text: str) -> datetime | None:
    if len(text) < 10 or text[4] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def attributes_by(chance: random.Random) -> dict[str, Any]:
    """Attributes of one item: of every type, some missing, some of another type than usual."""
    drawn = {
        "category": lambda: chance.choice(CATEGORIES),
        "price": lambda: chance.choice((0, 1, 4.5, 19.99, 20, 20.0, -3, "on request")),
        "stock": lambda: chance.randrange(4),
        "number": lambda: 2**60 + chance.randrange(3),
        "vip": lambda: chance.random() < 0.5,
        "tags": lambda: chance.sample(TAGS, chance.randrange(4)),
        "sizes": lambda: [chance.choice((38, 38.5, 40, 2**60)) for _ in range(chance.randrange(3))],
        "made": lambda: chance.choice((*DATES, "soon")),
        "brand": lambda: None,
    }
    return {name: draw() for name, draw in drawn.items() if chance.random() < 0.8}


_VALUES: dict[str, tuple[Any, ...]] = {
    "category": (*CATEGORIES, "missing"),
    "price": (0, 4.5, 20, -3, 19.99, "on request", 21.0),
    "stock": (0, 1, 2.0, 3, 7),
    "number": (2**60, 2**60 + 1, float(2**60)),
    "vip": (True, False),
    "tags": TAGS,
    "sizes": (38, 38.5, 40, 2**60),
    "made": (*DATES, "soon"),
}


def filter_by(chance: random.Random, depth: int = 3) -> dict[str, Any]:
    """A filter on such attributes."""
    drawn: dict[str, Any] = {}
    for _ in range(chance.choice((1, 1, 2))):
        kind = chance.randrange(8) if depth else 7
        if kind in (0, 1):
            parts = [filter_by(chance, depth - 1) for _ in range(chance.choice((1, 2, 3)))]
            drawn["$and" if kind else "$or"] = parts
        elif kind == 2:
            drawn["$not"] = filter_by(chance, depth - 1)
        else:
            name = chance.choice(tuple(_VALUES))
            drawn[name] = _condition(chance, name)
    return drawn


def _condition(chance: random.Random, name: str) -> Any:
    values = _VALUES[name]
    if chance.random() < 0.2:
        return chance.choice(values)
    condition: dict[str, Any] = {}
    for operator in chance.sample(("$eq", "$ne", "$in", "$nin", "$range", "$exists", "$not"), chance.choice((1, 1, 2))):
        if operator in ("$in", "$nin"):
            condition[operator] = chance.choices(values, k=chance.choice((1, 3, 12)))
        elif operator == "$exists":
            condition[operator] = chance.random() < 0.5
        elif operator == "$not":
            condition[operator] = {"$eq": chance.choice(values)}
        elif operator != "$range":
            condition[operator] = chance.choice(values)
        elif bounds := [one for one in values if not isinstance(one, bool) and _has_order(one)]:
            condition[chance.choice(("$gt", "$gte", "$lt", "$lte"))] = chance.choice(bounds)
    return condition or chance.choice(values)


def _has_order(value: Any) -> bool:
    return not isinstance(value, str) or _moment(value) is not None
