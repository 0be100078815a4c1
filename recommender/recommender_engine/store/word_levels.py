"""Removal of empty levels of the word index, which FTS5 adds and never removes.

FTS5 keeps its segments in levels. Each time that all of them are merged (`optimize`, a `merge` with a negative number)
SQLite before 3.41 puts the result two levels higher, and it reports its own record as damaged above
2,000 levels.
The record is a row of a table of its own: a cookie of four bytes, then variable-length integers: levels, segments, a
counter; for each level how many of its segments are being merged, how many it has, and three numbers for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MOST_LEVELS = 64
"""With more of them the record is written anew. SQLite takes 2,000."""

_KEPT = 20  # lowest levels, left unchanged: segments that grow from new items never get higher
_COOKIE = 4
_NUMBERS = 3  # of a segment
_MOST_BYTES = 8  # of one of them

Level = tuple[int, tuple[int, ...]]
"""How many segments are being merged, and the numbers of all."""


def lowered(record: bytes) -> bytes | None:
    """The record without empty levels in its upper part; ``None`` for no change.

    There is no change with few levels, during a merge, or if the record has an unknown form.
    """
    try:
        numbers = list(_integers(record[_COOKIE:]))
        count, segments, counter = numbers[:3]
        levels = _levels(numbers[3:], count)
    except ValueError:
        return None
    if count <= MOST_LEVELS or any(merging for merging, _ in levels):
        return None
    if sum(len(of_segments) for _, of_segments in levels) != segments * _NUMBERS:
        return None
    kept = [*levels[:_KEPT], *(level for level in levels[_KEPT:] if level[1])]
    said = [len(kept), segments, counter]
    for merging, of_segments in kept:
        said += [merging, len(of_segments) // _NUMBERS, *of_segments]
    return record[:_COOKIE] + b"".join(map(_varint, said))


def _levels(numbers: Sequence[int], count: int) -> list[Level]:
    """The levels; raises ``ValueError`` unless they use all numbers."""
    found: list[Level] = []
    place = 0
    while place < len(numbers):
        merging, segments = numbers[place : place + 2]
        end = place + 2 + segments * _NUMBERS
        if end > len(numbers):
            raise ValueError("cut off")
        found.append((merging, tuple(numbers[place + 2 : end])))
        place = end
    if len(found) != count:
        raise ValueError("another form")
    return found


def _integers(data: bytes) -> Iterator[int]:
    """SQLite's variable-length integers of up to 56 bits, seven bits a byte; the record has no larger ones."""
    value = length = 0
    for byte in data:
        value, length = value << 7 | byte & 0x7F, length + 1
        if length > _MOST_BYTES:
            raise ValueError("another form")
        if not byte & 0x80:
            yield value
            value = length = 0
    if length:
        raise ValueError("cut off")


def _varint(value: int) -> bytes:
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))
