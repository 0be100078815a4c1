"""Features of the time between two items."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, nan

from recommender_engine.matching.features.feature import Evidence, ReasonInput, WeighedReason
from recommender_engine.matching.pair.comparison import Comparison

_DAY_S = 86_400


def days_apart(pair: Comparison) -> float:
    """Logarithm of one plus the days between the timestamps."""
    mine, theirs = pair.one.timestamp, pair.other.timestamp
    return nan if mine is None or theirs is None else log(1.0 + abs((mine - theirs).total_seconds()) / _DAY_S)


def arrivals_apart(pair: Comparison) -> float:
    """Logarithm of one plus the difference of their arrival numbers."""
    return nan if pair.arrivals_apart is None else log(1.0 + pair.arrivals_apart)


def _time(inputs: ReasonInput) -> Iterator[WeighedReason]:
    """The reason by the timestamps, or else by the arrival numbers."""
    pair, weight = inputs.pair, inputs.weight
    mine, theirs, apart = pair.one.timestamp, pair.other.timestamp, pair.arrivals_apart
    only = "only " if weight > 0 else ""
    if mine is not None and theirs is not None:
        days = abs((mine - theirs).total_seconds()) / _DAY_S
        text = f"{only}{days:,.0f} days lie between the two"
        yield inputs.reason("time_apart", text, weight, days=round(days, 2))
    elif apart is not None:
        text = f"{only}{apart - 1:,} others arrived between the two"
        yield inputs.reason("time_apart", text, weight, arrivals=apart)


TIME = Evidence("time", _time)
