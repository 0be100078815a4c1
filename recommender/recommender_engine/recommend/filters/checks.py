"""Whether an expression fits what the items of a collection hold: no name is misspelt, and types can be equal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from recommender_engine.errors import InvalidCommand
from recommender_engine.recommend.filters.columns import Column
from recommender_engine.recommend.filters.expression import Compares, Condition, Equals, Expression, conditions
from recommender_engine.recommend.filters.typed import Part

_LISTED = 5
_LOOKED_AT = 1_000


def check(expression: Expression, columns: Mapping[str, Column], names: Collection[str]) -> None:
    """Compare an expression with the columns that it reads.

    Args:
        expression: the filter.
        columns: by attribute.
        names: of attributes that items have, to suggest one.

    Raises:
        InvalidCommand: ``unknown_attribute``: no item has it. ``wrong_type``: it has values of other types only.
    """
    for one in conditions(expression):
        column = columns.get(one.attribute)
        if column is None or not column.parts:
            raise unknown(one.attribute, names)
        _check_types(one, column)


def unknown(attribute: str, names: Collection[str]) -> InvalidCommand:
    """No item has the attribute."""
    known = sorted(name for name in names if name != attribute)
    close = get_close_matches(attribute, known[:_LOOKED_AT], _LISTED)
    if close:
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    elif known:
        more = ", …" if len(known) > _LISTED else ""
        hint = f"there are {', '.join(map(repr, known[:_LISTED]))}{more}"
    else:
        hint = "they have no attributes"
    return InvalidCommand(
        "unknown_attribute", f"no item of the collection has an attribute {attribute!r}; {hint}", f"filter.{attribute}"
    )


def _check_types(one: Condition, column: Column) -> None:
    match one:
        case Equals(_, _, values):
            wanted = {_kind(value.part) for value in values}
        case Compares(_, _, value):
            wanted = {_kind(value.part)}
        case _:
            return
    held = {_kind(part) for part in column.parts}
    if isinstance(one, Equals) and wanted & {Part.STRING, Part.DATE}:
        wanted |= {Part.STRING, Part.DATE}  # a date is a string, too
    if not wanted & held:
        asked, there = (" and ".join(sorted(part.value for part in kinds)) for kinds in (wanted, held))
        raise InvalidCommand(
            "wrong_type",
            f"{one.operator} compares the attribute {one.attribute!r} with {asked}, but items have only {there} there",
            f"filter.{one.attribute}",
        )


def _kind(part: Part) -> Part:
    return Part.NUMBER if part is Part.LARGE else part
