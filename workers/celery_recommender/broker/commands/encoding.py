"""A command as fields of the stream: its data as JSON, its key, what it asks for."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from datetime import date
from datetime import time as clock_time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from celery_recommender.tracing import current_traceparent
from recommender_engine.errors import InvalidCommand
from recommender_engine.items.limits import MAX_MESSAGE_BYTES

CommandFields = dict[str, str | int]

_EXACT = 2**53  # beyond it a JSON number is no exact integer everywhere


def command_fields(
    type_: str,
    data: Mapping[str, Any],
    *,
    key: str | None = None,
    reply_to: str | None = None,
    expires_ms: int | None = None,
) -> CommandFields:
    """One command as stream fields. Decimals, dates, times, UUIDs, enums and sets have their usual form in JSON.

    Raises:
        InvalidCommand: it is no JSON, or larger than any server side would accept.
    """
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_json)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidCommand("not_unicode", "a string holds half of a surrogate pair") from None
    except (ValueError, TypeError, RecursionError) as error:  # NaN, a key that is no text, an object that holds itself
        raise InvalidCommand("not_json", f"not JSON: {error}") from None
    if size > MAX_MESSAGE_BYTES:
        raise InvalidCommand("too_large", f"{size} bytes; at most {MAX_MESSAGE_BYTES} are accepted")
    fields: CommandFields = {"type": type_, "data": text, "key": key or new_key()}
    if (trace := current_traceparent()) is not None:
        fields["traceparent"] = trace
    if reply_to is not None:
        fields["reply_to"] = reply_to
    if expires_ms is not None:
        fields["expires_ms"] = expires_ms
    return fields


def new_key() -> str:
    """A random key, a UUID of version 7 (RFC 9562).

    It begins with the time, so keys that are made one after the other stand beside each other in the state: a batch
    changes few pages of it.
    """
    drawn, now_ms = uuid.uuid4().int, time.time_ns() // 1_000_000
    return str(uuid.UUID(int=now_ms << 80 | 0x7 << 76 | drawn >> 116 << 64 | drawn & (1 << 64) - 1))


def _as_json(value: object) -> object:
    """What JSON has for a value of a database: numbers for decimals, text for times and UUIDs, lists for sets."""
    match value:
        case Decimal():
            whole = value.is_finite() and abs(value) <= _EXACT and value == int(value)
            return int(value) if whole else float(value)
        case date() | clock_time():  # a datetime is a date
            return value.isoformat()
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case set() | frozenset():
            return sorted(value, key=str)
        case _:
            raise InvalidCommand("wrong_type", f"a {type(value).__name__} cannot be sent as JSON")
