"""Sums by number, and the largest of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SPARSE = 16  # an array of all numbers costs less than sorting, up to so many numbers for each that is there


def sums_by(numbers: NDArray[np.int64], weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each number once, ascending, with the sum of its weights, added in the order given; shape (n,) each.

    Args:
        numbers: at least 0, shape (m,).
        weights: shape (m,).
    """
    if not len(numbers):
        return np.empty(0, np.int64), np.empty(0)
    sums: NDArray[np.float64]
    if int(numbers.max()) > _SPARSE * len(numbers):
        unique, places = np.unique(numbers, return_inverse=True)
        sums = np.bincount(places, weights).astype(np.float64, copy=False)
        return unique, sums
    there = np.flatnonzero(np.bincount(numbers)).astype(np.int64, copy=False)
    sums = np.bincount(numbers, weights).astype(np.float64, copy=False)[there]
    return there, sums


def largest(sums: NDArray[np.float64], ties: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of the ``most`` largest sums, the largest first; of equal ones that with the smaller tie first.

    Args:
        sums: shape (n,).
        ties: shape (n,), all different.
        most: how many at most.
    """
    places = np.arange(len(sums))
    if len(sums) > most:
        places = np.flatnonzero(sums >= np.partition(sums, len(sums) - most)[len(sums) - most])
    found: NDArray[np.int64] = places[np.lexsort((ties[places], -sums[places]))[:most]]
    return found
