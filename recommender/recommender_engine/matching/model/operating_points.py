"""From a stated precision to a threshold: what was measured on held-out pairs, interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np

# No threshold is so high that a model could not reach it.
_HIGHEST = 0.9995

CLOSED = inf
"""A threshold that no probability reaches."""

# A share is carried where its 95 % score interval (Wilson 1927) does not reach further below than this.
_Z, SLACK = 1.96, 0.05


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


def measured_threshold(points: Sequence[OperatingPoint], target_precision: float) -> float:
    """The same, and `CLOSED` above the highest precision that was measured."""
    if not points or target_precision > points[-1].precision:
        return CLOSED
    return threshold(points, target_precision)


def lower_bound(right: float, flagged: float) -> float:
    """Lower end of the 95 % score interval of a share (Wilson 1927), in [0, 1]; 0 where nothing was flagged."""
    if flagged <= 0:
        return 0.0
    share, square = right / flagged, _Z * _Z
    middle = share + square / (2 * flagged)
    spread = _Z * sqrt(share * (1 - share) / flagged + square / (4 * flagged * flagged))
    return max((middle - spread) / (1 + square / flagged), 0.0)


def upper_bound(right: float, flagged: float) -> float:
    """Upper end of the same interval; 1 where nothing was flagged."""
    return 1.0 - lower_bound(flagged - right, flagged)


def carries(right: float, flagged: float, precision: float) -> bool:
    """Whether so many right ones of so many flagged carry a precision: the share has it, the lower bound nearly."""
    return flagged > 0 and right >= precision * flagged and lower_bound(right, flagged) >= precision - SLACK


def _log_odds(share: float) -> float:
    return log(share / (1.0 - share))
