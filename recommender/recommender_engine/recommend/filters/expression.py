"""A filter as a tree of conditions on attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recommender_engine.recommend.filters.typed import Typed


@dataclass(frozen=True, slots=True)
class Equals:
    """An attribute that equals one of several values; of a list, one of its elements does.

    Attributes:
        attribute: its name.
        operator: as it was written, for messages; also in the other conditions.
        values: at least one.
    """

    attribute: str
    operator: str
    values: tuple[Typed, ...]


@dataclass(frozen=True, slots=True)
class Compares:
    """An attribute that is less or greater than a number or a date; of a list, one of its elements is."""

    attribute: str
    operator: str
    value: Typed


@dataclass(frozen=True, slots=True)
class Exists:
    """An attribute that has a value: neither missing, nor null, nor an empty list."""

    attribute: str
    operator: str = "$exists"


@dataclass(frozen=True, slots=True)
class Not:
    """What does not pass the other expression."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Every:
    """What passes all of several expressions; without any, everything."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """What passes one of several expressions."""

    parts: tuple[Expression, ...]


Condition = Equals | Compares | Exists
Expression = Condition | Not | Every | Some


def conditions(expression: Expression) -> Iterator[Condition]:
    """All conditions of an expression, in the order in which they were written."""
    match expression:
        case Every(parts) | Some(parts):
            for part in parts:
                yield from conditions(part)
        case Not(part):
            yield from conditions(part)
        case _:
            yield expression


def attributes_of(expression: Expression) -> tuple[str, ...]:
    """Names of the attributes that an expression reads, each once."""
    return tuple(dict.fromkeys(one.attribute for one in conditions(expression)))
