"""Values of attributes as numbers of four types, so that columns of them are compared without Python objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from recommender_engine.items.values import AttributeValue

_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INEXACT = 2**53  # from here on a float64 does not hold every integer
_INTEGERS = 2**63
_STRINGS_KEPT, _LONGEST_KEPT = 16_384, 64  # their hashes; strings of columns with few values come again and again

Plain = str | int | float | bool
"""A value with which an attribute is compared."""


class Part(Enum):
    """What one value is stored as; the value says it in words.

    ``STRING`` is the hash of a string, ``NUMBER`` a float64, ``LARGE`` an integer that a float64 may round, ``DATE``
    microseconds since 1970, ``BOOLEAN`` 0 or 1.
    """

    STRING = "strings"
    NUMBER = "numbers"
    LARGE = "large integers"
    DATE = "dates"
    BOOLEAN = "booleans"

    @property
    def is_real(self) -> bool:
        """Whether it is a float64, and not an int64."""
        return self is Part.NUMBER


class Typed(NamedTuple):
    """One value of an attribute.

    Attributes:
        part: what it is stored as.
        number: an int64, or a float64 where ``part`` is ``NUMBER``.
    """

    part: Part
    number: int | float


def stored(value: AttributeValue) -> Iterator[Typed]:
    """An attribute as it is stored: each element of a list, nothing for ``None``."""
    for one in value if isinstance(value, list) else (value,):
        if one is not None:
            yield equal_to(one)


def equal_to(value: Plain) -> Typed:
    """What is stored of exactly the values that equal this one."""
    if isinstance(value, bool):
        return Typed(Part.BOOLEAN, int(value))
    if isinstance(value, str):
        moment = _microseconds(value)
        return Typed(Part.STRING, _hash_of(value)) if moment is None else Typed(Part.DATE, moment)
    return Typed(Part.LARGE, int(value)) if _is_large(value) else Typed(Part.NUMBER, float(value))


def ordered(value: Plain) -> Typed | None:
    """A number of any size or a date, for ranges; ``None`` for other values, which have no order."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        moment = _microseconds(value)
        return None if moment is None else Typed(Part.DATE, moment)
    return Typed(Part.NUMBER, value)


def _is_large(value: float) -> bool:
    return abs(value) >= _INEXACT and -_INTEGERS <= value < _INTEGERS


def _microseconds(text: str) -> int | None:
    """The moment of a date in ISO 8601; one without an offset is in UTC."""
    if text[4:5] != "-" or not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def forget_strings() -> None:
    """Drop the strings whose hashes are kept."""
    _hash_of_short.cache_clear()


def _hash_of(text: str) -> int:
    return _hash_of_short(text) if len(text) <= _LONGEST_KEPT else _hash(text)


@lru_cache(_STRINGS_KEPT)
def _hash_of_short(text: str) -> int:
    return _hash(text)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), signed=True)
