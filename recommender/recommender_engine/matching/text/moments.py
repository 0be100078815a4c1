"""Dates and times of day in a text, in the usual notations."""

from __future__ import annotations

import re

from recommender_engine.matching.text.tokens import Mark, Token


def moments_of(
    raw: list[Token], marks: dict[str, list[Mark]]
) -> tuple[dict[frozenset[tuple[int, int, int]], str], dict[tuple[int, ...], str], set[int]]:
    """Dates, times of day and ratios, and the indices of their tokens.

    Args:
        raw: the tokens.
        marks: words of the lexicon, by the name of their list.

    Returns:
        Dates, as possible readings of year, month and day (0 for a missing part) and their text; the same for hours and
        minutes, and for ratios; and the indices.
    """
    dates: dict[frozenset[tuple[int, int, int]], str] = {}
    moments: dict[tuple[int, ...], str] = {}
    taken: set[int] = set()
    clocks = {mark.start: mark.key for mark in marks.get("clock", ())}
    for index, (kind, text, _) in enumerate(raw):
        if kind == "date":
            dates[_dates(text)] = text
            taken.add(index)
        elif kind == "colon":
            parts = [int(part.replace(" ", "")) for part in text.split(":")]
            later = clocks.get(index + 1)
            moments[(_hour(parts[0], later), *parts[1:2])] = text
            taken.add(index)
        elif kind == "clock":
            hour, _, minute = text.partition("h")
            moments[(int(hour), int(minute or 0))] = text
            taken.add(index)
        elif kind == "number" and text.isdecimal() and index + 1 in clocks and int(text) <= 24:
            moments[(_hour(int(text), clocks[index + 1]), 0)] = text
            taken.add(index)
    for month in marks.get("month", ()):
        _named_date(raw, month, dates, taken)
    return dates, moments, taken


def _hour(hour: int, later: str | None) -> int:
    if later == "pm" and hour < 12:
        return hour + 12
    return 0 if later == "am" and hour == 12 else hour


def _dates(text: str) -> frozenset[tuple[int, int, int]]:
    one, two, three = (int(part) for part in re.split(r"[-./]", text))
    if one > 31:
        return frozenset({(one, two, three)})
    if "/" in text and one <= 12 and two <= 12:
        return frozenset({(three, two, one), (three, one, two)})
    return frozenset({(three, one, two)}) if two > 12 else frozenset({(three, two, one)})


def _named_date(
    raw: list[Token], month: Mark, dates: dict[frozenset[tuple[int, int, int]], str], taken: set[int]
) -> None:
    """``30 November 2024``, ``August 14``, ``30 de mayo``."""
    day = year = 0
    for index in (month.start - 1, month.start - 2, month.end, month.end + 1, month.end + 2):
        if not 0 <= index < len(raw) or index in taken or raw[index].kind != "number":
            continue
        text = raw[index].text
        if not text.isdecimal():
            continue
        if len(text) == 4 and not year and index >= month.end:
            year = int(text)
            taken.add(index)
        elif len(text) <= 2 and not day and 1 <= int(text) <= 31 and index <= month.end:
            day = int(text)
            taken.add(index)
    if day:
        dates[frozenset({(year, int(month.key), day)})] = raw[month.start].text
