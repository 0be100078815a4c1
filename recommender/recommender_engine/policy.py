"""The policy of a collection: which pairs of items can be duplicates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from recommender_engine.items import CollectionSettings, Item
from recommender_engine.items.placeholders import says_nothing
from recommender_engine.items.values import AttributeValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_INTEGER = 2**63


class Dated(NamedTuple):
    """An item with its time of arrival.

    Attributes:
        item: the item.
        at_ms: stream time of its arrival, in milliseconds since 1970.
    """

    item: Item
    at_ms: int

    @property
    def time_us(self) -> int:
        """The item's timestamp, or else its arrival, in microseconds since 1970."""
        timestamp: datetime | None = self.item.timestamp
        return self.at_ms * 1000 if timestamp is None else (timestamp - _EPOCH) // _MICROSECOND


def restricts(settings: CollectionSettings) -> bool:
    """Whether the settings forbid any pair that would otherwise be compared."""
    return bool(settings.equal or settings.only or settings.window_seconds or settings.min_length)


def may_be_duplicate(settings: CollectionSettings, item: Item) -> bool:
    """Whether the item can be in a pair of duplicates: texts too short and placeholders cannot."""
    return len(item.content) >= settings.min_length and not means_nothing(settings, item)


def means_nothing(settings: CollectionSettings, item: Item) -> bool:
    """Whether the item's text is a placeholder (``N/A``, ``-``), in a collection whose texts are compared."""
    return settings.compares_texts and says_nothing(item.content)


def allows(settings: CollectionSettings, later: Dated, earlier: Dated) -> bool:
    """Whether the later item may be a duplicate of the earlier one.

    A missing attribute or field equals only a missing one.
    """
    if not (may_be_duplicate(settings, later.item) and may_be_duplicate(settings, earlier.item)):
        return False
    if any(not _same(_value(later.item, name), _value(earlier.item, name)) for name in settings.equal):
        return False
    if not _among(settings, earlier.item):
        return False
    window = settings.window_seconds
    return window is None or abs(later.time_us - earlier.time_us) <= window * _SECOND_US


class PolicyKey(NamedTuple):
    """The key under which an item is indexed, to find it as a possible original of later items.

    Attributes:
        scope: a number for the values that must be equal; ``None`` if no later item may repeat it.
        moment: microseconds since 1970 if there is a window; else 0.
    """

    scope: int | None
    moment: int | None


NOWHERE = PolicyKey(None, None)


class PolicyRange(NamedTuple):
    """The policy keys of all items that a later one may repeat.

    Attributes:
        scopes: that of items without a timestamp; where a window counts, also that of items with one.
        first, last: range of moments, inclusive.
    """

    scopes: tuple[int, ...]
    first: int
    last: int


def same_policy_keys(one: CollectionSettings, other: CollectionSettings) -> bool:
    """Whether every item has the same policy key under both settings."""
    windows = one.window_seconds is None, other.window_seconds is None
    return (one.equal, one.only, one.min_length) == (other.equal, other.only, other.min_length) and len({*windows}) == 1


def policy_key(settings: CollectionSettings, collection: int, dated: Dated) -> PolicyKey:
    """The policy key of an item of a collection."""
    item = dated.item
    if not restricts(settings) or not may_be_duplicate(settings, item) or not _among(settings, item):
        return NOWHERE
    windowed = settings.window_seconds is not None
    scope = _scope(settings, collection, item, own_time=windowed and item.timestamp is not None)
    return PolicyKey(scope, _bounded(dated.time_us) if windowed else 0)


def reach(settings: CollectionSettings, collection: int, later: Dated) -> PolicyRange | None:
    """The range of the items that an item may repeat; ``None`` if there is none."""
    if not may_be_duplicate(settings, later.item):
        return None
    if settings.window_seconds is None:
        return PolicyRange((_scope(settings, collection, later.item, own_time=False),), 0, 0)
    scopes = tuple(_scope(settings, collection, later.item, own_time=own) for own in (False, True))
    around = settings.window_seconds * _SECOND_US
    return PolicyRange(scopes, _bounded(later.time_us - around), _bounded(later.time_us + around))


def _among(settings: CollectionSettings, item: Item) -> bool:
    """Whether an item has the values that one which is repeated must have; of a list, one of its elements."""
    return all(
        any(_same(mine, value) for mine in _elements(_value(item, name)) for value in values)
        for name, values in settings.only.items()
    )


def _scope(settings: CollectionSettings, collection: int, item: Item, *, own_time: bool) -> int:
    values = [[name, *_comparable(_value(item, name))] for name in settings.equal]
    said = json.dumps([collection, own_time, values]).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), signed=True)


def _elements(value: AttributeValue) -> Sequence[AttributeValue]:
    return value if isinstance(value, list) else (value,)


def _comparable(value: AttributeValue) -> tuple[str, Any]:
    """Equal for values that are the same, and different for others; also as JSON."""
    if isinstance(value, list):
        return "list", [_comparable(one) for one in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type(value).__name__, value
    return "number", int(value) if isinstance(value, float) and value.is_integer() else value


def _bounded(moment: int) -> int:
    """The moment within the range of the store."""
    return max(-_INTEGER, min(moment, _INTEGER - 1))


def _same(one: AttributeValue, other: AttributeValue) -> bool:
    return one == other and isinstance(one, bool) is isinstance(other, bool)  # to Python 1 is True


def _value(item: Item, name: str) -> AttributeValue:
    if name in item.attributes:
        return item.attributes[name]
    return (item.fields or {}).get(name)
