"""Cursors of pages: where the next page of a question begins, as an opaque text."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from recommender_engine.errors import InvalidCommand

Places = tuple[type | tuple[type, ...], ...]
"""Types of the values of a cursor, in their order."""

_LONGEST = 2000


def cursor(question: str, place: Sequence[object]) -> str:
    """A cursor.

    Args:
        question: with what decides the order of its pages; a cursor of another is refused.
        place: of the last row of the page: JSON values.
    """
    said = json.dumps([question, *place], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def place_of(after: object, question: str, types: Places) -> list[Any]:
    """The place that a cursor names.

    Args:
        after: the cursor.
        question: as in `cursor`.
        types: of the values of the place.

    Raises:
        InvalidCommand: it is not a cursor of this question.
    """
    said: Any = None
    if isinstance(after, str) and len(after) <= _LONGEST:
        try:
            said = json.loads(base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True))
        except (ValueError, binascii.Error, RecursionError):
            said = None
    if not isinstance(said, list) or said[:1] != [question] or not _fits(said[1:], types):
        raise InvalidCommand(
            "invalid_value", "after must be the next of a page of the same question in the same order", "after"
        )
    return said[1:]


def _fits(place: list[Any], types: Places) -> bool:
    return len(place) == len(types) and all(map(_fitting, place, types))


def _fitting(one: Any, kind: type | tuple[type, ...]) -> bool:
    too_large = isinstance(one, int | float) and abs(one) >= 2**63  # for SQLite
    return isinstance(one, kind) and not isinstance(one, bool) and not too_large
