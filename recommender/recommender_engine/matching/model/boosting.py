"""Gradient boosting of oblivious trees on some ten thousand rows, in numpy.

Histogram boosting of the logistic loss with second derivatives (Friedman 2001; LightGBM, Ke et al. 2017) over oblivious
trees (CatBoost, Prokhorenkova et al. 2018), which overfit less than free ones with few labels. Leaf values are made
monotone where a feature may act in one direction only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recommender_engine.matching.trees import Booleans, Floats, Integers, Trees

_PASSES = 8


@dataclass(frozen=True, slots=True)
class Growth:
    """Parameters of tree growing.

    Attributes:
        trees: number of trees.
        depth: splits in each.
        rate: learning rate, the factor of each tree's leaf values.
        l2: added to the curvature of every leaf, to shrink leaves of few rows.
        bins: most histogram bins of a feature.
        columns: share of the features that each tree may split on, drawn by ``seed``.
    """

    trees: int = 120
    depth: int = 4
    rate: float = 0.08
    l2: float = 5.0
    bins: int = 32
    columns: float = 0.6
    seed: int = 0


class _Split(NamedTuple):
    """A split: true if the feature's bin is above ``last_bin``; ``missing`` is the outcome for a missing value."""

    feature: int
    last_bin: int
    missing: bool


class _Binned:
    """Rows in bins; the bin after the last is for missing values."""

    def __init__(self, rows: Floats, bins: int) -> None:
        self.bins = bins
        self.edges = [_edges(column, bins) for column in rows.T]
        binned = [
            np.where(np.isnan(column), bins, np.searchsorted(edges, column, side="left"))
            for column, edges in zip(rows.T, self.edges, strict=True)
        ]
        self.cells: Integers = np.stack(binned, axis=1).astype(np.int64)

    def outcomes(self, split: _Split) -> Booleans:
        column = self.cells[:, split.feature]
        return np.where(column == self.bins, split.missing, column > split.last_bin)

    def threshold(self, split: _Split) -> float:
        """The value of a split; above the last edge, the split only separates missing values from the others."""
        edges = self.edges[split.feature]
        return float(edges[split.last_bin]) if split.last_bin < len(edges) else float("inf")


def _edges(column: Floats, bins: int) -> Floats:
    known = column[~np.isnan(column)]
    values = np.unique(known)
    if len(values) < bins:
        return (values[1:] + values[:-1]) / 2
    return np.unique(np.quantile(known, np.linspace(0, 1, bins)[1:-1], method="midpoint"))


def grow(rows: Floats, labels: Booleans, weights: Floats, monotone: Sequence[int], growth: Growth) -> Trees:
    """Fit trees to labelled rows.

    Args:
        rows: shape (n, features), NaN where a value is missing.
        labels: shape (n,); both must occur.
        weights: shape (n,), positive, 1 on average.
        monotone: for each feature +1 (a higher value never lowers the log-odds), -1 (never raises them) or 0.
        growth: size and regularisation.
    """
    binned = _Binned(rows, growth.bins)
    target = labels.astype(np.float64)
    share = float(np.average(target, weights=weights))
    base = float(np.log(share / (1 - share)))
    scores = np.full(len(rows), base)
    generator = np.random.default_rng(growth.seed)
    features, thresholds, missing, values = [], [], [], []
    for _ in range(growth.trees):
        probability = 1 / (1 + np.exp(-scores))
        slope = weights * (target - probability)
        curvature = weights * probability * (1 - probability)
        allowed = np.asarray(generator.random(rows.shape[1]) < growth.columns)
        splits, leaves = _splits(binned, slope, curvature, allowed, growth)
        size = 1 << growth.depth
        mass = np.asarray(np.bincount(leaves, curvature, size) + growth.l2, np.float64)
        leaf_values = growth.rate * _ordered(
            np.bincount(leaves, slope, size) / mass, mass, [monotone[split.feature] for split in splits]
        )
        scores = scores + leaf_values[leaves]
        features.append([split.feature for split in splits])
        thresholds.append([binned.threshold(split) for split in splits])
        missing.append([split.missing for split in splits])
        values.append(leaf_values)
    return Trees(np.array(features), np.array(thresholds), np.array(missing), np.array(values), base)


def _splits(
    binned: _Binned, slope: Floats, curvature: Floats, allowed: Booleans, growth: Growth
) -> tuple[list[_Split], Integers]:
    """The splits of one tree, and the leaf of each row."""
    leaves = np.zeros(len(slope), np.int64)
    splits = []
    for level in range(growth.depth):
        split = _best_split(binned, leaves, slope, curvature, allowed, 1 << level, growth.l2)
        splits.append(split)
        leaves |= binned.outcomes(split).astype(np.int64) << level
    return splits, leaves


def _best_split(
    binned: _Binned, leaves: Integers, slope: Floats, curvature: Floats, allowed: Booleans, size: int, l2: float
) -> _Split:
    """The split that lowers the loss most, summed over all leaves of the level."""
    count, width = binned.cells.shape[1], binned.bins + 1
    cell = ((leaves[:, None] * count + np.arange(count)) * width + binned.cells).ravel()
    shape = (size, count, width)
    slopes = np.bincount(cell, np.repeat(slope, count), size * count * width).reshape(shape)
    masses = np.bincount(cell, np.repeat(curvature, count), size * count * width).reshape(shape)
    all_slopes, all_masses = slopes.sum(axis=2, keepdims=True), masses.sum(axis=2, keepdims=True)
    below_slopes, below_masses = np.cumsum(slopes[:, :, :-1], axis=2), np.cumsum(masses[:, :, :-1], axis=2)
    gains = []
    for no_slopes, no_masses in ((slopes[:, :, -1:], masses[:, :, -1:]), (0.0, 0.0)):  # missing is false, then true
        left, left_mass = below_slopes + no_slopes, below_masses + no_masses
        right, right_mass = all_slopes - left, all_masses - left_mass
        gains.append((left**2 / (left_mass + l2) + right**2 / (right_mass + l2)).sum(axis=0))
    gain = np.stack(gains)
    gain[:, ~allowed] = -1.0
    missing, feature, last_bin = np.unravel_index(int(gain.argmax()), gain.shape)
    return _Split(int(feature), int(last_bin), bool(missing))


def _ordered(values: Floats, masses: Floats, signs: Sequence[int]) -> Floats:
    """Leaf values that rise (+1) or fall (-1) with the outcome of each monotone split.

    Leaves in the wrong order are pooled, as in isotonic regression. Pooling for one split can undo another, so a last
    pass raises or lowers values still out of order; taking the maximum (minimum) keeps the order of all others.
    """
    values = values.copy()
    leaves = np.arange(len(values))
    directed = [(leaves[leaves >> bit & 1 == 0], 1 << bit, sign) for bit, sign in enumerate(signs) if sign]
    for _ in range(_PASSES):
        for low, step, sign in directed:
            wrong = low[sign * (values[low + step] - values[low]) < 0]
            pooled = (values[wrong] * masses[wrong] + values[wrong + step] * masses[wrong + step]) / (
                masses[wrong] + masses[wrong + step]
            )
            values[wrong] = values[wrong + step] = pooled
    for low, step, sign in directed:
        extreme = np.maximum if sign > 0 else np.minimum
        values[low + step] = extreme(values[low], values[low + step])
    return values
