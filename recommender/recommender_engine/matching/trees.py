"""A sum of oblivious decision trees, evaluated in a handful of array operations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trees:
    """Every level of an oblivious tree asks one question of all rows, so a tree is a few comparisons and a table.

    Attributes:
        features: column asked at each level, shape (trees, depth).
        thresholds: the answer is yes above it, same shape.
        missing: the answer where the value is missing (NaN), same shape.
        values: what each leaf adds to the log-odds, shape (trees, 2 ** depth); level ``d`` is bit ``d`` of the leaf.
        base: log-odds before any tree.
    """

    features: Integers
    thresholds: Floats
    missing: Booleans
    values: Floats
    base: float

    def log_odds(self, rows: Floats) -> Floats:
        """Log-odds of each row; ``rows`` has shape (n, features), NaN where a value is missing."""
        trees, depth = self.features.shape
        asked = rows[:, self.features]
        yes = (asked > self.thresholds) | (np.isnan(asked) & self.missing)
        leaves = yes @ (1 << np.arange(depth))
        sums: Floats = self.values[np.arange(trees), leaves].sum(axis=1)
        return sums + self.base
