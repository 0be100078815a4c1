"""One JSON text: what it says, or what is wrong with it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from celery_recommender.records.input.byte_input import KEPT_CHARS, is_utf8, readable
from celery_recommender.records.input.columns import column_names
from celery_recommender.records.rows import UNREADABLE, BadRow, Fault, Row

_PRECISE_DIGITS = 16


def read_object(number: int, where: str, text: str) -> Row | BadRow:
    """The object as a row. A number that Python's floats cannot hold stays a decimal, or text if it has no end.

    Args:
        number: of the row.
        where: its position, for the error.
        text: the JSON.
    """
    if not is_utf8(text):
        return _bad(number, f"{where}: bytes that are no text in this encoding; see --encoding", Fault.ENCODING, text)
    try:
        pairs = _Pairs()
        value = json.loads(text, object_pairs_hook=pairs.join, parse_float=_float, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        return _bad(number, f"{where}: {_said(error, text)}", Fault.JSON, text)
    if not isinstance(value, dict):
        return _bad(number, f"{where}: not a JSON object", Fault.JSON, text)
    # An escape may name half of a surrogate pair: valid JSON, but no text that could ever be written again.
    if "\\ud" in text.lower() and not is_utf8(json.dumps(value, ensure_ascii=False, default=str)):
        return BadRow(number, f"{where}: holds half of a surrogate pair", Fault.JSON, _shown(value))
    if pairs.repeated:
        return BadRow(number, f"{where}: a key stands twice in one object", Fault.JSON, value)
    return Row(number, value)


def too_long(number: int, where: str, beginning: str, error: object) -> BadRow:
    """A text of which only the beginning is kept."""
    return _bad(number, f"{where}: {error}", Fault.LENGTH, beginning)


def left_out(number: int, error: str, text: str) -> BadRow:
    """A text that is no row at its position."""
    return _bad(number, error, Fault.JSON, text)


class _Pairs:
    """Makes objects, and keeps every value of a key that comes twice."""

    def __init__(self) -> None:
        self.repeated = False

    def join(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self.repeated = True
        return dict(zip(column_names([name for name, _ in pairs]), (one for _, one in pairs), strict=True))


def _bad(number: int, error: str, kind: Fault, text: str) -> BadRow:
    return BadRow(number, error, kind, {UNREADABLE: readable(text.strip()[:KEPT_CHARS])})


def _said(error: Exception, text: str) -> str:
    """The error; with a hint on usual mistakes of scripts."""
    if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data" and text[error.pos :].strip() == ",":
        return "a comma behind the object"
    return str(error)


def _float(literal: str) -> float | Decimal | str:
    value = float(literal)
    if value in (float("inf"), float("-inf")):
        return literal
    if len(literal) > _PRECISE_DIGITS and Decimal(repr(value)) != Decimal(literal):
        return Decimal(literal)
    return value


def _constant(literal: str) -> str | None:
    return None if literal == "NaN" else literal


def _shown(value: Any) -> Any:
    """The value with halves of surrogate pairs as ``\\\\ud83d``."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {readable(key): _shown(part) for key, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, list) else value
