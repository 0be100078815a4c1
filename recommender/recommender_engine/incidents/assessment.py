"""A group at one moment: its counts over three windows against what is usual for it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from recommender_engine.incidents.statistic import surprise
from recommender_engine.incidents.traffic import HOUR_MS, LATE_HOURS, Traffic, hour_of

WINDOWS_S = (600, 3600, 21_600)
"""Lengths of the windows, in seconds."""
SLOT_MS = WINDOWS_S[0] * 1000
LONGEST_WINDOW_MS = WINDOWS_S[-1] * 1000
LEAST_ITEMS = 5
"""Fewer items of a group are no incident, whatever is usual."""
MOST_TIMES = 1000
"""The newest items of a group that are looked at. Where all of them arrived lately, nothing is known of the usual."""

# The usual count of a window is never below this, times the square root of its hours.
_LEAST_EXPECTED = 0.02
# A window counts from the time on at which the collection has been watched for so many of its lengths.
_WATCHED = 24
# A collection in which all grows: above twice its usual items and so many, and so many for each item of the group.
_USUAL_TIMES, _OTHERS, _OTHERS_PER_ITEM = 2.0, 10, 3


class Watched(NamedTuple):
    """What is known of a group.

    Attributes:
        times_ms: when its newest items happened, the latest arrival first; at most ``MOST_TIMES``.
        since_ms: items that happened up to this time belong to an earlier incident, and are not counted.
        kept_hours: how long items are kept, where they expire.
    """

    times_ms: Sequence[int]
    since_ms: int = 0
    kept_hours: int | None = None


class Window(NamedTuple):
    """One window that ends now.

    Attributes:
        seconds: its length.
        items: of the group, in it.
        expected: how many are usual.
        score: ``-log10`` of the probability of so many or more; 0 where the window does not count yet.
    """

    seconds: int
    items: int
    expected: float
    score: float


class Assessment(NamedTuple):
    """The windows of a group.

    Attributes:
        windows: the shortest first.
        best: the one with the highest score, the shortest of equal ones.
        usual: usual items per hour now.
        daily: usual items of a day.
    """

    windows: tuple[Window, ...]
    best: Window
    usual: float
    daily: float


def assess(group: Watched, now_ms: int, traffic: Traffic) -> Assessment | None:
    """Compare a group with its baseline.

    Args:
        group: what is known of it.
        now_ms: stream time, in milliseconds since 1970.
        traffic: of its collection.

    Returns:
        The windows; ``None`` where there are too few items, or so many that nothing is known of what is usual.
    """
    recent = [at for at in group.times_ms if max(now_ms - LONGEST_WINDOW_MS, group.since_ms) < at <= now_ms]
    if len(recent) < LEAST_ITEMS:
        return None
    age_hours = traffic.age_hours(now_ms)
    known_hours = age_hours if group.kept_hours is None else min(age_hours, group.kept_hours)
    if len(group.times_ms) == MOST_TIMES:
        known_hours = min(known_hours, hour_of(now_ms) - hour_of(min(group.times_ms)))
        if known_hours <= LATE_HOURS:
            return None
    hours: dict[int, int] = {}
    for at in group.times_ms:
        hours[hour_of(at)] = hours.get(hour_of(at), 0) + 1
    rate = traffic.rate(hours, known_hours, now_ms)
    rhythm = traffic.rhythm(now_ms)
    windows = []
    for seconds in WINDOWS_S:
        start = now_ms - seconds * 1000
        items = sum(at > start for at in recent)
        expected = max(rate * traffic.expected(start, now_ms, rhythm), _LEAST_EXPECTED * (seconds / 3600) ** 0.5)
        counts = seconds == WINDOWS_S[0] or age_hours * 3600 >= _WATCHED * seconds
        score = surprise(items, expected) if counts and items >= LEAST_ITEMS else 0.0
        windows.append(Window(seconds, items, expected, score))
    best = max(windows, key=lambda one: one.score)
    usual = rate * traffic.expected(now_ms - HOUR_MS, now_ms, rhythm)
    return Assessment(tuple(windows), best, usual, 24.0 * rate)


def is_swept_along(window: Window, others: int, now_ms: int, traffic: Traffic) -> bool:
    """Whether a group grows because all of its collection does: an import is no incident.

    Args:
        window: of the group.
        others: items of the collection in that window that are not of the group.
        now_ms: when the window ends.
        traffic: of the collection.
    """
    rhythm = traffic.rhythm(now_ms)
    usual = rhythm.mean * traffic.expected(now_ms - window.seconds * 1000, now_ms, rhythm)
    return others > _USUAL_TIMES * usual + _OTHERS + _OTHERS_PER_ITEM * window.items


def calm_at_ms(times_ms: Sequence[int], usual: float) -> int:
    """From when on the last hour has fewer items than twice what is usual and two, if no more arrive.

    Args:
        times_ms: when the newest items of the group happened.
        usual: usual items per hour.

    Returns:
        Stream time in milliseconds since 1970; 0 where it is calm already.
    """
    most = ceil(2.0 * usual + 2.0) - 1
    latest = sorted(times_ms, reverse=True)
    return latest[most] + HOUR_MS if len(latest) > most else 0
