"""From a target precision to a threshold: interpolation between measurements on held-out pairs."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np

# The highest threshold, which a model can still reach.
_HIGHEST = 0.9995

CLOSED = inf
"""A threshold that no probability reaches."""

# A share is carried if its 95 % score interval (Wilson 1927) extends at most this far below.
_Z, SLACK = 1.96, 0.05


class OperatingPoint(NamedTuple):
    """One measurement.

    Attributes:
        precision: share of right ones among the flagged pairs, in (0, 1).
        probability: threshold of the flagged pairs, in (0, 1).
    """

    precision: float
    probability: float


def threshold(points: Sequence[OperatingPoint], target_precision: float) -> float:
    """The threshold with an expected precision of at least ``target_precision``; monotone in it.

    Between two points, log-odds are interpolated linearly. Below the first point, its probability is returned. Above
    the last, where there were too few held-out pairs, log-odds of the probability rise with those of the precision.

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


def measured_threshold(points: Sequence[OperatingPoint], target_precision: float) -> float:
    """Like `threshold`, but `CLOSED` above the highest measured precision."""
    if not points or target_precision > points[-1].precision:
        return CLOSED
    return threshold(points, target_precision)


def lower_bound(right: float, flagged: float) -> float:
    """Lower end of the 95 % score interval of a share (Wilson 1927), in [0, 1]; 0 if nothing was flagged."""
    if flagged <= 0:
        return 0.0
    share, square = right / flagged, _Z * _Z
    middle = share + square / (2 * flagged)
    spread = _Z * sqrt(share * (1 - share) / flagged + square / (4 * flagged * flagged))
    return max((middle - spread) / (1 + square / flagged), 0.0)


def upper_bound(right: float, flagged: float) -> float:
    """Upper end of the same interval; 1 if nothing was flagged."""
    return 1.0 - lower_bound(flagged - right, flagged)


def carries(right: float, flagged: float, precision: float) -> bool:
    """Whether a sample carries a precision: its share reaches it, and its lower bound nearly does."""
    return flagged > 0 and right >= precision * flagged and lower_bound(right, flagged) >= precision - SLACK


def _log_odds(share: float) -> float:
    return log(share / (1.0 - share))
