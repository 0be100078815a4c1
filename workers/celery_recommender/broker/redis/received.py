"""Stream entries as they were received. Redis takes a field name twice, and redis-py makes a dict of the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Pairs = Sequence[bytes]
"""Names and values in turn."""


class Received(dict[bytes, bytes]):
    """Fields of an entry; of a name that comes several times, the last.

    Attributes:
        received_bytes: of all names and values that came.
    """

    __slots__ = ("received_bytes",)

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(zip(pairs[::2], pairs[1::2], strict=True))
        self.received_bytes = sum(map(len, pairs))


def size_of(fields: Mapping[bytes, bytes]) -> int:
    """Bytes of an entry, those of repeated names included."""
    if isinstance(fields, Received):
        return fields.received_bytes
    return sum(len(name) + len(value) for name, value in fields.items())


def entries(reply: Any, **options: Any) -> Any:
    """The reply to ``XRANGE`` and ``XREVRANGE``: ids with their fields."""
    return [(None, None) if one is None else (one[0], Received(one[1] or ())) for one in reply or ()]


def entries_by_stream(reply: Any, **options: Any) -> Any:
    """The reply to ``XREAD``."""
    return [[stream, entries(found)] for stream, found in reply or ()]
