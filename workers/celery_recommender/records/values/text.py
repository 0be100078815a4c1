"""One value of a record as text: JSON for what is nested, plain words for the rest."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def to_json(value: Any) -> str:
    """The value as JSON on one line; numbers that are not finite become null, dates RFC 3339, bytes base64."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # NaN or an infinity somewhere inside: rare, so only then is the value walked
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def to_text(value: Any) -> str:
    """The value as the text of one CSV cell; nothing for ``None``, NaN and the infinities."""
    if is_missing(value):
        return ""
    if isinstance(value, dict | list | tuple | bool | int | float):
        return to_json(value)
    return str(value if isinstance(value, Decimal) else _plain(value))


def to_id(value: Any) -> str:
    """The value as an id: a whole number without the point that a column of floats or decimals gives it."""
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    return to_text(value)


def meant(value: Any) -> Any:
    """The value of a cell that a program has wrapped: ``{"$oid": …}`` of MongoDB, ``="00123"`` of spreadsheets."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((kind, inner),) = value.items()
            if (made := _WRAPPED.get(kind)) is not None:
                return _made(made, meant(inner), value)
    elif isinstance(value, str) and value.startswith('="') and (found := _FORMULA.fullmatch(value.strip())) is not None:
        return found[1].replace('""', '"')
    return value


def _made(made: Callable[[Any], Any], inner: Any, given: Any) -> Any:
    try:
        return made(inner)
    except (ValueError, TypeError, ArithmeticError):
        return given


def _moment(text: Any) -> Any:
    """Milliseconds since 1970, or the text of a date."""
    if isinstance(text, str):
        return text
    return _EPOCH + dt.timedelta(milliseconds=int(text))


def is_missing(value: Any) -> bool:
    """Whether the value means a missing one: ``None``, NaN or an infinity."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


_WRAPPED: dict[str, Callable[[Any], Any]] = {
    "$oid": str,
    "$uuid": str,
    "$symbol": str,
    "$date": _moment,
    "$numberInt": int,
    "$numberLong": int,
    "$numberDouble": float,
    "$numberDecimal": Decimal,
}


def _plain(value: Any) -> Any:
    """The JSON form of a value that JSON has no type for."""
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if is_missing(value):
        return None
    return value if isinstance(value, str | int | float) else _plain(value)
