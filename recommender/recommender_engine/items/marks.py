"""A limit for combining marks on a letter."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

MOST_MARKS = 30
"""As in the Stream-Safe Text Format of Unicode (UAX #15, section 13)."""

_CHARACTERS_KEPT = 4096


class _Marks(NamedTuple):
    """Marks in what a character is decomposed to.

    Attributes:
        first: before its first letter; all of them where there is no letter.
        last: position after its last letter.
        alone: whether there are marks and no letter.
    """

    first: int
    last: int
    alone: bool


def legible(text: str) -> str:
    """The text with at most `MOST_MARKS` marks on a letter; further ones are dropped.

    To normalise a text takes time by the square of the marks on one letter, for they have to be put in order: one
    message of 96 KiB would keep a worker for half a minute. A character can be a mark, or several, only once it is
    decomposed (U+0344, U+0F73, U+FF9E), so the decomposed form (NFKD) counts.
    """
    if text.isascii():
        return text
    of = {character: _marks(character) for character in set(text)}
    if not any(marks.first for marks in of.values()):
        return text
    count, kept = 0, []
    for character in text:
        first, last, alone = of[character]
        if count + first <= MOST_MARKS:
            kept.append(character)
            count = count + first if alone else last
    return "".join(kept)


@lru_cache(maxsize=_CHARACTERS_KEPT)
def _marks(character: str) -> _Marks:
    classes = [unicodedata.combining(part) > 0 for part in unicodedata.normalize("NFKD", character)]
    first = classes.index(False) if False in classes else len(classes)
    last = classes[::-1].index(False) if False in classes else len(classes)
    return _Marks(first, last, alone=all(classes))
