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
    """Oblivious trees: every node of a level has the same split, so a tree is a few comparisons and a lookup table.

    Attributes:
        features: column of the split at each level, shape (trees, depth).
        thresholds: the split is true above it, same shape.
        missing: the outcome of the split for a missing value (NaN), same shape.
        values: log-odds that each leaf adds, shape (trees, 2 ** depth); level ``d`` is bit ``d`` of the leaf number.
        base: log-odds of the empty sum.
    """

    features: Integers
    thresholds: Floats
    missing: Booleans
    values: Floats
    base: float

    def log_odds(self, rows: Floats) -> Floats:
        """Log-odds of each row; ``rows`` has shape (n, features), NaN where a value is missing."""
        trees, depth = self.features.shape
        inputs = rows[:, self.features]
        true = (inputs > self.thresholds) | (np.isnan(inputs) & self.missing)
        leaves = true @ (1 << np.arange(depth))
        sums: Floats = self.values[np.arange(trees), leaves].sum(axis=1)
        return sums + self.base
