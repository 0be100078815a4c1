"""From a stated precision to a threshold: what was measured on held-out pairs, interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import NamedTuple

import numpy as np

# No threshold is so high that a model could not reach it.
_HIGHEST = 0.9995


class OperatingPoint(NamedTuple):
    """One measurement.

    Attributes:
        precision: share of right ones among the pairs flagged, in (0, 1).
        probability: flagged were the pairs from here on, in (0, 1).
    """

    precision: float
    probability: float


def threshold(points: Sequence[OperatingPoint], target_precision: float) -> float:
    """The probability from which precision is expected to be ``target_precision`` or better; rises with it.

    Between two points log-odds are interpolated linearly. Below the first one its probability stands. Above the last,
    where too few held-out pairs were left to measure at, log-odds of the probability rise as those of the precision.

    Args:
        points: rising in both.
        target_precision: in (0, 1).
    """
    precisions = [_log_odds(point.precision) for point in points]
    probabilities = [_log_odds(point.probability) for point in points]
    wanted = _log_odds(target_precision)
    beyond = max(wanted - precisions[-1], 0.0)
    found = float(np.interp(wanted, precisions, probabilities)) + beyond
    return min(1.0 / (1.0 + exp(-found)), _HIGHEST)


def _log_odds(share: float) -> float:
    return log(share / (1.0 - share))
