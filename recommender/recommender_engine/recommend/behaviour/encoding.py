"""The rows of behaviour as bytes, little-endian.

Numbers: how many (uint16), the least one (uint32), bytes of each (1), then what each is above the least (uint16, or
uint32 where one is too far above it). Behind the numbers of partners come weights as float32, behind those of a
session's items one float64, or one of each item where they differ.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

_HEAD = struct.Struct("<HIB")
_NARROW, _WIDE = 2, 4
_single = struct.Struct("<f")


def single_precision(value: float) -> float:
    """The float32 next to a value, which must not be above the largest of them."""
    return float(_single.unpack(_single.pack(value))[0])


def encoded_numbers(numbers: Sequence[int]) -> bytes:
    """Numbers from 0 to 2^32 - 1, in their order; at most 65,535."""
    return _encoded(numbers, len(numbers))


def encoded_partners(weights: Mapping[int, float]) -> bytes:
    """Weights that are float32, by number."""
    return _encoded(weights, len(weights)) + struct.pack(f"<{len(weights)}f", *weights.values())


def encoded_weights(weights: Mapping[int, float]) -> bytes:
    """Weights by number, in their order."""
    values = list(weights.values())
    if values and values.count(values[0]) == len(values):
        del values[1:]
    return _encoded(weights, len(weights)) + struct.pack(f"<{len(values)}d", *values)


def numbers_in(data: bytes) -> NDArray[np.int64]:
    """The numbers of what one of these functions has made, shape (n,)."""
    if not data:
        return np.empty(0, np.int64)
    count, least, width = _HEAD.unpack_from(data)
    found = np.frombuffer(data, "<u2" if width == _NARROW else "<u4", count, _HEAD.size).astype(np.int64)
    found += least
    return found


def numbers_in_each(rows: Mapping[int, bytes]) -> dict[int, NDArray[np.int64]]:
    """The same of many rows, by their keys: views of one array."""
    heads = [_HEAD.unpack_from(data) if data else (0, 0, _NARROW) for data in rows.values()]
    found: dict[int, NDArray[np.int64]] = {}
    for width, kind in ((_NARROW, "<u2"), (_WIDE, "<u4")):
        mine = [(num, data, *head) for (num, data), head in zip(rows.items(), heads, strict=True) if head[2] == width]
        joined = b"".join(data[_HEAD.size : _HEAD.size + width * count] for _, data, count, *_ in mine)
        numbers = np.frombuffer(joined, kind).astype(np.int64)
        counts = [count for _, _, count, *_ in mine]
        numbers += np.repeat(np.array([least for *_, least, _ in mine], np.int64), counts)
        ends = list(accumulate(counts))
        found.update((num, numbers[end - count : end]) for (num, _, count, *_), end in zip(mine, ends, strict=True))
    return found


def partners_in(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and weights of ``encoded_partners``, shape (n,) each."""
    numbers = numbers_in(data)
    weights = np.frombuffer(data, "<f4", len(numbers), len(data) - 4 * len(numbers))
    return numbers, weights.astype(np.float64)


def decoded_numbers(data: bytes) -> list[int]:
    """The numbers of ``encoded_numbers``."""
    numbers: list[int] = numbers_in(data).tolist()
    return numbers


def decoded_partners(data: bytes) -> dict[int, float]:
    """The weights of ``encoded_partners``."""
    numbers, weights = partners_in(data)
    return dict(zip(numbers.tolist(), weights.tolist(), strict=True))


def decoded_weights(data: bytes) -> dict[int, float]:
    """The weights of ``encoded_weights``."""
    if not data:
        return {}
    count, _, width = _HEAD.unpack_from(data)
    weights = np.frombuffer(data, "<f8", offset=_HEAD.size + width * count).tolist()
    return dict(zip(numbers_in(data).tolist(), weights * count if len(weights) == 1 else weights, strict=True))


def arrays_of(weights: Mapping[int, float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and weights of a row in memory, shape (n,) each."""
    count = len(weights)
    return np.fromiter(weights, np.int64, count), np.fromiter(weights.values(), np.float64, count)


def _encoded(numbers: Iterable[int], count: int) -> bytes:
    if not count:
        return b""
    least, most = min(numbers), max(numbers)
    if most < 1 << 16:
        return _HEAD.pack(count, 0, _NARROW) + struct.pack(f"<{count}H", *numbers)
    if most - least < 1 << 16:
        return _HEAD.pack(count, least, _NARROW) + struct.pack(f"<{count}H", *(number - least for number in numbers))
    return _HEAD.pack(count, 0, _WIDE) + struct.pack(f"<{count}I", *numbers)
