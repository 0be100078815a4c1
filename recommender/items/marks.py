"""How many marks a letter may carry."""

from __future__ import annotations

import unicodedata

MOST_MARKS = 30
"""As in the Stream-Safe Text Format of Unicode (UAX #15, section 13)."""


def legible(text: str) -> str:
    """The text with at most `MOST_MARKS` marks on a letter; those behind them are dropped.

    To normalise a text takes time by the square of the marks on one letter, for they have to be put in order: one
    message of 96 KiB would keep a worker for half a minute.
    """
    if text.isascii():
        return text
    marks, kept = 0, []
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MOST_MARKS:
            kept.append(character)
    return "".join(kept)
