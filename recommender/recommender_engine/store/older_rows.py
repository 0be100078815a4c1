"""Rows of behaviour as schema 10 stored them, in the form of now: functions of the upgrade to 11.

Partners and items of a session were n times uint32 and n times float64, a ring n times uint32 for its sessions and n
times uint32 for their users; all little-endian.
"""

from __future__ import annotations

import numpy as np

from recommender_engine.recommend.behaviour.encoding import encoded_numbers, encoded_partners, encoded_weights


def narrow_partners(data: bytes) -> bytes:
    """Partners with weights in single precision."""
    return encoded_partners(_weights(data))


def narrow_ring(data: bytes) -> bytes:
    """A ring without users: they are those of its sessions."""
    return encoded_numbers(np.frombuffer(data, "<u4", len(data) // 8).tolist())


def narrow_items(data: bytes) -> bytes:
    """Items of a session."""
    return encoded_weights(_weights(data))


def _weights(data: bytes) -> dict[int, float]:
    count = len(data) // 12
    numbers, weights = np.frombuffer(data, "<u4", count), np.frombuffer(data, "<f8", count, 4 * count)
    return dict(zip(numbers.tolist(), weights.tolist(), strict=True))
