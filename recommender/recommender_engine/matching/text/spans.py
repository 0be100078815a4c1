"""Positions of values and words in the original text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from recommender_engine.matching.text.terms import MOST_READ, fold
from recommender_engine.matching.text.vocabulary import COLOURS, NUMBER_WORDS

_RUN = re.compile(r"[^\W_]+")
# Most characters between the parts of one code: ``DSC - W120``.
_WIDEST_GAP = 3
_NAME_GAP = 3
_NO_WORD = ("", 0, 0)


class Occurrence(NamedTuple):
    """A value with its position in a text.

    Attributes:
        text: in the original spelling, or in the folded one if it cannot be found.
        span: first character, and the one after the last; ``None`` if it cannot be found.
        name: the word before it, folded.
    """

    text: str
    span: tuple[int, int] | None
    name: str


class Spans:
    """Finds values in a text by their folded spelling, ignoring signs, accents and case.

    Args:
        text: the original text; as much of it is searched as `terms_of` reads.
    """

    def __init__(self, text: str) -> None:
        self._text = text[:MOST_READ]
        self._words = _words(self._text)
        self._letters = "".join([word for word, _, _ in self._words])
        self._starts = list(accumulate([len(word) for word, _, _ in self._words], initial=0))[:-1]
        gaps = [after[1] - before[2] > _WIDEST_GAP for before, after in pairwise(self._words)]
        self._wide_gaps = list(accumulate(gaps, initial=0))  # before each word

    def find(self, code: str) -> Occurrence:
        """The first position of a code, number, size or colour that is not a part of a longer one."""
        letters = "".join(_RUN.findall(code))
        return self._code(letters) or self._synonym(code) or Occurrence(code, None, "")

    def words(self, terms: Iterable[str]) -> list[list[int]]:
        """Ranges of the first positions of some terms, in reading order; terms that cannot be found are left out."""
        found = [self.find(term).span for term in terms]
        return [list(span) for span in sorted(span for span in found if span)]

    def _code(self, letters: str) -> Occurrence | None:
        """Whole words that make up some letters; only starts of words are tried.

        Trying each letter would take quadratic time in a text of one repeated digit.
        """
        size, position = len(letters), self._letters.find(letters) if letters else -1
        if position < 0:
            return None
        for first in range(bisect_left(self._starts, position), len(self._words)):
            start = self._starts[first]
            last = bisect_right(self._starts, start + size - 1) - 1
            whole = self._starts[last] + len(self._words[last][0]) == start + size
            close = self._wide_gaps[first] == self._wide_gaps[last]
            if whole and close and self._letters.startswith(letters, start):
                return self._occurrence(first, last)
        return None

    def _synonym(self, code: str) -> Occurrence | None:
        """``2`` written as "two", ``black`` as "schwarz"."""
        for number, (word, _, _) in enumerate(self._words):
            if code in (COLOURS.get(word), NUMBER_WORDS.get(word)):
                return self._occurrence(number, number)
        return None

    def _occurrence(self, first: int, last: int) -> Occurrence:
        start, end = self._words[first][1], self._words[last][2]
        name, _, name_end = self._words[first - 1] if first else _NO_WORD
        named = name.isalpha() and start - name_end <= _NAME_GAP
        return Occurrence(self._text[start:end], (start, end), name if named else "")


class PairTexts:
    """The texts of a pair, indexed on first use.

    Args:
        here: text of the item.
        there: text of the candidate.
    """

    def __init__(self, here: str, there: str) -> None:
        self._here = here
        self._there = there

    @cached_property
    def here(self) -> Spans:
        """Positions in the text of the item."""
        return Spans(self._here)

    @cached_property
    def there(self) -> Spans:
        """Positions in the text of the candidate."""
        return Spans(self._there)

    def ranges(self, terms: Sequence[str], others: Sequence[str] | None = None) -> dict[str, list[list[int]]]:
        """Ranges of words in the one text, and of the same or others in the other text."""
        theirs = terms if others is None else others
        return {"here_at": self.here.words(terms), "there_at": self.there.words(theirs)}


def _words(text: str) -> list[tuple[str, int, int]]:
    """Runs of letters and digits, folded, with their ranges in the text."""
    if text.isascii():
        return [(match[0], *match.span()) for match in _RUN.finditer(text.lower())]
    folded = {character: fold(character) for character in set(text)}
    pieces = [folded[character] for character in text]
    origins = [index for index, piece in enumerate(pieces) for _ in piece]
    found = []
    for match in _RUN.finditer("".join(pieces)):
        start, end = origins[match.start()], origins[match.end() - 1] + 1
        while end < len(text) and not pieces[end]:  # a combining accent belongs to the letter before it
            end += 1
        found.append((match[0], start, end))
    return found
