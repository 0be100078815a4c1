"""Features of pairs by name, as stored with answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np

from recommender_engine.matching.features.table import FEATURES, TABLE
from recommender_engine.matching.trees import Booleans, Floats


def named(row: Sequence[float]) -> dict[str, float]:
    """The features of a pair that have a value, by name.

    Args:
        row: in the order of `FEATURES`, NaN where there is nothing to compare.
    """
    return {name: value for name, value in zip(FEATURES, row, strict=True) if not isnan(value)}


def rows_from(named_rows: Sequence[Mapping[str, float]]) -> Floats:
    """Rows of features for a model, shape (n, len(FEATURES)): the inverse of `named`.

    Answers can be older than the table: an unknown name is ignored, and a feature that did not exist yet has the value
    `Feature.before`.
    """
    rows = [[row.get(one.name, one.before) for one in TABLE] for row in named_rows]
    return np.array(rows, np.float64).reshape(len(named_rows), len(FEATURES))


def judged_alone(rows: Floats) -> Booleans:
    """Which rows are of pairs judged without other candidates, shape (n,)."""
    alone: Booleans = np.isnan(rows[:, FEATURES.index("words_margin")])
    return alone
