"""The arrivals of a collection by hour, and the rhythm of its week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HOUR_MS = 3_600_000
HALF_LIFE_HOURS = 168
LATE_HOURS = 6
"""What arrived within so many hours is not part of a baseline: a burst does not raise its own bar."""
HORIZON_HOURS = 5 * HALF_LIFE_HOURS
"""Older arrivals count for nothing."""

_WEEK_HOURS = 168
# The rhythm of an hour of the week counts this many usual items besides those that it had.
_PRIOR_ITEMS = 5.0
# A baseline is never taken from less than so many hours.
_LEAST_HOURS = 4.0
_WEIGHTS = tuple(2.0 ** (-age / HALF_LIFE_HOURS) for age in range(HORIZON_HOURS + 1))


def hour_of(ms: int) -> int:
    """The hour since 1970 of a time in milliseconds."""
    return ms // HOUR_MS


class Rhythm(NamedTuple):
    """What is usual in a collection at one hour.

    Attributes:
        mean: its items per hour, averaged over the week.
        factors: of the hours of the week, shape (168,), relative to ``mean``.
        watched: by age in hours, the decayed hours up to that age, each times its factor, shape (HORIZON_HOURS + 1,).
    """

    mean: float
    factors: tuple[float, ...]
    watched: tuple[float, ...]


class Traffic:
    """Arrivals of a collection by hour of stream time.

    Args:
        hours: how many items arrived, by hour since 1970.
    """

    def __init__(self, hours: Mapping[int, int] | None = None) -> None:
        self.hours: dict[int, int] = dict(hours or {})
        self._rhythm: tuple[int, Rhythm] | None = None

    def add(self, hour: int, items: int = 1) -> int:
        """Count items of an hour; returns how many the hour has now."""
        self.hours[hour] = self.hours.get(hour, 0) + items
        if self._rhythm is not None and hour <= self._rhythm[0] - LATE_HOURS:
            self._rhythm = None  # an item with an older time of its own
        return self.hours[hour]

    def drop(self, before: int) -> None:
        """Forget the hours before one."""
        for hour in [one for one in self.hours if one < before]:
            del self.hours[hour]

    def age_hours(self, now_ms: int) -> int:
        """For how many hours the collection has had items, at most ``HORIZON_HOURS``."""
        first = min(self.hours, default=hour_of(now_ms))
        return max(0, min(hour_of(now_ms) - first, HORIZON_HOURS))

    def rhythm(self, now_ms: int) -> Rhythm:
        """What is usual, from the arrivals up to six hours ago; the same within an hour."""
        now = hour_of(now_ms)
        if self._rhythm is None or self._rhythm[0] != now:
            self._rhythm = now, self._learned(now)
        return self._rhythm[1]

    def expected(self, from_ms: int, to_ms: int, rhythm: Rhythm) -> float:
        """Usual hours between two times: their length, each hour times the factor of its place in the week."""
        total, start = 0.0, from_ms
        while start < to_ms:
            hour = hour_of(start)
            end = min(to_ms, (hour + 1) * HOUR_MS)
            total += rhythm.factors[hour % _WEEK_HOURS] * (end - start) / HOUR_MS
            start = end
        return total

    def rate(self, hours: Mapping[int, int], age_hours: int, now_ms: int) -> float:
        """Items per usual hour of a part of the traffic: decayed arrivals by the decayed time that was watched.

        Args:
            hours: its arrivals, by hour.
            age_hours: how far back they are known.
            now_ms: the current time.
        """
        now, weight = hour_of(now_ms), 0.0
        for hour in sorted(hours):
            if LATE_HOURS <= now - hour <= age_hours:
                weight += hours[hour] * _WEIGHTS[now - hour]
        return weight / max(self.rhythm(now_ms).watched[age_hours], _LEAST_HOURS)

    def _learned(self, now: int) -> Rhythm:
        items, hours = [0.0] * _WEEK_HOURS, [0.0] * _WEEK_HOURS
        oldest = self.age_hours(now * HOUR_MS)
        for age in range(LATE_HOURS, oldest + 1):
            slot = (now - age) % _WEEK_HOURS
            hours[slot] += _WEIGHTS[age]
            items[slot] += _WEIGHTS[age] * self.hours.get(now - age, 0)
        watched = sum(hours)
        mean = sum(items) / watched if watched else 0.0
        factors = tuple(
            (count + _PRIOR_ITEMS) / (mean * length + _PRIOR_ITEMS) for count, length in zip(items, hours, strict=True)
        )
        sums, total = [], 0.0
        for age in range(HORIZON_HOURS + 1):
            if age >= LATE_HOURS:
                total += _WEIGHTS[age] * factors[(now - age) % _WEEK_HOURS]
            sums.append(total)
        return Rhythm(mean, factors, tuple(sums))
