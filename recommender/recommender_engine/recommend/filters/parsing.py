"""From JSON to a typed expression, within bounds: a filter may come from a stranger."""

from __future__ import annotations

import math
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import limits
from recommender_engine.recommend.filters.expression import Compares, Equals, Every, Exists, Expression, Not, Some
from recommender_engine.recommend.filters.typed import Plain, Typed, equal_to, ordered

_RANGES = ("$gt", "$gte", "$lt", "$lte")
OF_AN_ATTRIBUTE = ("$eq", "$ne", "$in", "$nin", *_RANGES, "$exists", "$not")
OF_FILTERS = ("$and", "$or", "$not")

_FIELD = "filter"


def parse(filter_: Any) -> Expression:
    """A filter as it was parsed from JSON, as an expression: ``{"category": "mugs", "price": {"$lt": 20}}``.

    Raises:
        InvalidCommand: ``invalid_filter``, or ``too_large`` and ``too_deep`` beyond a bound; the message says where.
    """
    return _Parser().filter(filter_, _FIELD, 1)


class _Parser:
    """Counts what it reads."""

    def __init__(self) -> None:
        self._conditions = 0
        self._values = 0
        self._bytes = 0

    def filter(self, given: Any, at: str, depth: int) -> Expression:
        """An object: all of its keys hold."""
        if not isinstance(given, dict):
            raise _refused(f'must be an object like {{"price": {{"$lt": 20}}}}, not {_kind(given)}', at)
        if depth > limits.MAX_FILTER_DEPTH:
            raise InvalidCommand("too_deep", f"{at}: nested deeper than {limits.MAX_FILTER_DEPTH} levels", at)
        parts = [part for name, value in given.items() for part in self._entry(name, value, at, depth)]
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _entry(self, name: Any, value: Any, at: str, depth: int) -> Iterator[Expression]:
        if not isinstance(name, str) or not name:
            raise _refused(f"a name must be a string that is not empty, not {_kind(name)}", at)
        if not name.startswith("$"):
            yield from self._attribute(name, value, f"{at}.{name}", depth)
            return
        at_operator = f"{at}.{name}"
        if name == "$not":
            yield Not(self.filter(value, at_operator, depth + 1))
        elif name in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise _refused(f"needs a list of filters, not {_kind(value)}", at_operator)
            if len(value) > limits.MAX_FILTER_CONDITIONS:
                raise _too_large(f"{len(value)} filters", limits.MAX_FILTER_CONDITIONS, at_operator)
            parts = [self.filter(one, f"{at_operator}.{place}", depth + 1) for place, one in enumerate(value)]
            yield (Every if name == "$and" else Some)(tuple(parts))
        else:
            raise _unknown_operator(name, at, OF_FILTERS)

    def _attribute(self, name: str, value: Any, at: str, depth: int) -> Iterator[Expression]:
        """All conditions on one attribute."""
        if len(name) > limits.MAX_NAME_CHARS or not name.isprintable():
            raise _refused(f"no attribute has such a name: at most {limits.MAX_NAME_CHARS} printable characters", at)
        self._add_bytes(name, at)
        if not isinstance(value, dict):
            yield self._condition(name, "$eq", value, at)
            return
        if not value:
            raise _refused('needs an operator, like {"$lt": 20}', at)
        if depth > limits.MAX_FILTER_DEPTH:
            raise InvalidCommand("too_deep", f"{at}: nested deeper than {limits.MAX_FILTER_DEPTH} levels", at)
        for operator, operand in value.items():
            if operator not in OF_AN_ATTRIBUTE:
                raise _unknown_operator(operator, at, OF_AN_ATTRIBUTE)
            if operator == "$not":
                if not isinstance(operand, dict):
                    raise _refused(f'needs an operator, like {{"$lt": 20}}, not {_kind(operand)}', f"{at}.$not")
                yield Not(Every(tuple(self._attribute(name, operand, f"{at}.$not", depth + 1))))
            else:
                yield self._condition(name, operator, operand, f"{at}.{operator}")

    def _condition(self, name: str, operator: str, operand: Any, at: str) -> Expression:
        self._conditions += 1
        if self._conditions > limits.MAX_FILTER_CONDITIONS:
            raise _too_large("more conditions", limits.MAX_FILTER_CONDITIONS, at)
        if operator == "$exists":
            if not isinstance(operand, bool):
                raise _refused(f"needs true or false, not {_kind(operand)}", at)
            return Exists(name) if operand else Not(Exists(name))
        if operator in _RANGES:
            return Compares(name, operator, self._ordered(operand, at))
        if operator in ("$in", "$nin"):
            if not isinstance(operand, list) or not operand:
                raise _refused(f"needs a list of values, not {_kind(operand)}", at)
            if len(operand) > limits.MAX_FILTER_VALUES:
                raise _too_large(f"{len(operand)} values", limits.MAX_FILTER_VALUES, at)
            values = tuple(equal_to(self._value(one, f"{at}.{place}")) for place, one in enumerate(operand))
        else:
            values = (equal_to(self._value(operand, at)),)
        found = Equals(name, operator, values)
        return Not(found) if operator in ("$ne", "$nin") else found

    def _ordered(self, operand: Any, at: str) -> Typed:
        found = ordered(self._value(operand, at))
        if found is None:
            raise _refused(f"needs a number or a date in ISO 8601 (2026-03-01T09:30:00Z), not {_kind(operand)}", at)
        return found

    def _value(self, value: Any, at: str) -> Plain:
        """One value, as an attribute may have it."""
        self._values += 1
        if self._values > limits.MAX_FILTER_VALUES:
            raise _too_large("more values", limits.MAX_FILTER_VALUES, at)
        if value is None:
            raise _refused('null is no value: say {"$exists": false}', at)
        if isinstance(value, list):
            raise _refused('a list needs an operator, like {"$in": ["new", "sale"]}', at)
        if not isinstance(value, str | int | float):
            raise _refused(f"needs a string, a number or a boolean, not {_kind(value)}", at)
        if isinstance(value, str):
            self._add_bytes(value, at)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise _refused("an integer must fit into 64 bits", at)
        elif isinstance(value, float) and not math.isfinite(value):
            raise _refused("must be a finite number", at)
        return value

    def _add_bytes(self, text: str, at: str) -> None:
        self._bytes += len(text.encode(errors="replace"))
        if self._bytes > limits.MAX_FILTER_BYTES:
            raise _too_large("more bytes of names and strings", limits.MAX_FILTER_BYTES, at)


def _refused(reason: str, at: str) -> InvalidCommand:
    return InvalidCommand("invalid_filter", f"{at}: {reason}", at)


def _too_large(what: str, most: int, at: str) -> InvalidCommand:
    return InvalidCommand("too_large", f"{at}: {what}; at most {most:,} are accepted in a filter", at)


def _unknown_operator(name: Any, at: str, known: tuple[str, ...]) -> InvalidCommand:
    text = str(name)[: limits.MAX_NAME_CHARS]
    close = get_close_matches(text if text.startswith("$") else f"${text}", known, 1)
    hint = f"did you mean {close[0]}? There are" if close else "there are"
    if text in (*OF_AN_ATTRIBUTE, *OF_FILTERS):
        hint = f"it stands {'before' if text in OF_FILTERS else 'behind'} an attribute; here there are"
    return _refused(f"{text!r} is no operator; {hint} {', '.join(known)}", at)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "an object" if isinstance(value, dict) else "a number" if isinstance(value, int | float) else "this"
