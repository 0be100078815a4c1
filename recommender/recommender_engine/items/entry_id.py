"""Ids of stream entries: the one ordering that everything follows."""

from __future__ import annotations

import re
from typing import NamedTuple

_PATTERN = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)


class EntryId(NamedTuple):
    """Id of an entry in a Redis stream; compares in stream order.

    Attributes:
        ms: milliseconds since the Unix epoch, as the server saw them.
        n: sequence number within the millisecond.
    """

    ms: int
    n: int

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """Read ``"1712-3"``; raises ``ValueError`` for anything else."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"not a stream entry id: {text!r}")
        found = cls(int(match[1]), int(match[2]))
        if max(found) > _MAX_PART:
            raise ValueError(f"not a stream entry id: {text!r}")
        return found

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"

    def next_at(self, ms: int) -> EntryId:
        """The smallest id after this one whose milliseconds are not before ``ms``; behind the highest there is
        none but itself."""
        return EntryId(ms, 0) if ms > self.ms else self.successor

    @property
    def successor(self) -> EntryId:
        """The smallest id after this one that a server knows; the highest of them has none but itself."""
        if self.n < _MAX_PART:
            return EntryId(self.ms, self.n + 1)
        return EntryId(self.ms + 1, 0) if self.ms < _MAX_PART else self


_MAX_PART = 2**64 - 1

START = EntryId(0, 0)
"""The position before the first entry of any stream."""
