"""Which two items of a collection may be duplicates of each other at all."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from recommender.items import CollectionSettings, Item
from recommender.items.placeholders import says_nothing
from recommender.items.values import AttributeValue


class Dated(NamedTuple):
    """An item and when it arrived.

    Attributes:
        item: what it says.
        at_ms: stream time of its arrival, in milliseconds since 1970.
    """

    item: Item
    at_ms: int

    @property
    def time_s(self) -> float:
        """Its own timestamp, or else its arrival, in seconds since 1970."""
        timestamp: datetime | None = self.item.timestamp
        return self.at_ms / 1000 if timestamp is None else timestamp.timestamp()


def restricts(settings: CollectionSettings) -> bool:
    """Whether the settings forbid any pair that would otherwise be compared."""
    return bool(settings.equal or settings.only or settings.window_seconds or settings.min_length)


def may_be_duplicate(settings: CollectionSettings, item: Item) -> bool:
    """Whether the item can be a duplicate of anything, or anything of it: placeholders are alike and mean nothing."""
    return len(item.content) >= settings.min_length and not means_nothing(settings, item)


def means_nothing(settings: CollectionSettings, item: Item) -> bool:
    """Whether the item's text is a placeholder (``N/A``, ``-``), in a collection whose texts are compared."""
    return settings.rule != "cosine" and says_nothing(item.content)


def allows(settings: CollectionSettings, later: Dated, earlier: Dated) -> bool:
    """Whether the later item may be a duplicate of the earlier one.

    An attribute or field that is not there has no value, which equals no value on the other side.
    """
    if not (may_be_duplicate(settings, later.item) and may_be_duplicate(settings, earlier.item)):
        return False
    if any(not _same(_value(later.item, name), _value(earlier.item, name)) for name in settings.equal):
        return False
    for name, values in settings.only.items():
        if not any(_same(_value(earlier.item, name), value) for value in values):
            return False
    window = settings.window_seconds
    return window is None or abs(later.time_s - earlier.time_s) <= window


def shared(settings: CollectionSettings, item: Item) -> dict[str, AttributeValue]:
    """What every item has to have, by name, to be a duplicate of this one."""
    return {name: _value(item, name) for name in settings.equal}


def _same(one: AttributeValue, other: AttributeValue) -> bool:
    return one == other and isinstance(one, bool) is isinstance(other, bool)  # to Python 1 is True


def _value(item: Item, name: str) -> AttributeValue:
    if name in item.attributes:
        return item.attributes[name]
    return (item.fields or {}).get(name)
