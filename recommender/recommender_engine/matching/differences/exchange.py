"""Contradictions by exchanged places: the same words, but two of them in each other's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recommender_engine.matching.differences.pair import ReadingPair, agreement
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import READ_UNITS, Reading

_STEM = 4
_LONGEST = 3
_SHORTEST_WORD = 3
_AUXILIARY = "*"
_COUNT = ("count", 1.0)


class Exchange(NamedTuple):
    """Two spans of the first text that are in each other's place in the second, all other words in the same position.

    Attributes:
        start: index of the first span's first token.
        middle: index of the first token between them; there is at least one.
        behind: index of the second span's first token.
        end: index after it.
        words: the text's tokens as they are compared.
    """

    start: int
    middle: int
    behind: int
    end: int
    words: tuple[str, ...]

    def has(self, pair: ReadingPair, *kinds: str) -> bool:
        """Whether words of one of these lists are between the spans."""
        return any(self.middle <= mark.start < self.behind for kind in kinds for mark in pair.marked(pair.one, kind))

    def enumerates(self, pair: ReadingPair) -> bool:
        """Whether the order has no meaning: only joining words between the spans, or like phrases with both.

        As in: the milk is sour and the bread is sour.
        """
        joining = {index for mark in pair.marked(pair.one, "with") for index in range(mark.start, mark.end)}
        words = [None if index in joining else word for index, word in enumerate(self.words)]
        phrase, before, after = (
            [word for word in words[part] if word is not None]
            for part in (slice(self.middle, self.behind), slice(self.start), slice(self.end, None))
        )
        return not phrase or before[-len(phrase) :] == phrase or after[: len(phrase)] == phrase

    def agreement(self, pair: ReadingPair) -> Agreement[str] | None:
        """The span that each text has first."""
        tokens = pair.one.tokens
        return agreement([" ".join(tokens[self.start : self.middle])], [" ".join(tokens[self.behind : self.end])])


def exchange(pair: ReadingPair) -> Agreement[str] | None:
    """Two names, things or numbers exchanged, so that each has the other's part: Anna's call to Ben, Ben's to Anna.

    Not where the order has no meaning: in an enumeration, between like phrases, among the words of a title. Around
    words of direction it is a difference of direction.
    """
    if pair.here or pair.there:
        return None
    found = exchange_in(pair)
    if found is None or found.has(pair, "from", "to") or found.enumerates(pair):
        return None
    numbers = [pair.one.tokens[index].isdecimal() for index in (found.start, found.end - 1)]
    matters = all(numbers) and _counts(pair.one, found) if any(numbers) else _has_parts(pair, found)
    return found.agreement(pair) if matters else None


def exchange_in(pair: ReadingPair) -> Exchange | None:
    """The exchange that turns one text into the other, if there is one; spans are at most three tokens long."""
    if len(pair.one.tokens) != len(pair.other.tokens):
        return None
    one, other = _words(pair.one, pair), _words(pair.other, pair)
    differing = [index for index, (mine, their) in enumerate(zip(one, other, strict=True)) if mine != their]
    if not differing:
        return None
    start, end = differing[0], differing[-1] + 1
    mine, theirs = one[start:end], other[start:end]
    for first in range(1, _LONGEST + 1):
        for last in range(1, _LONGEST + 1):
            middle = len(mine) - first - last
            if middle > 0 and theirs == mine[-last:] + mine[first : first + middle] + mine[:first]:
                return Exchange(start, start + first, end - last, end, one)
    return None


def _words(reading: Reading, pair: ReadingPair) -> tuple[str, ...]:
    """The beginnings of the tokens, which inflected forms share; all auxiliary verbs are one: is, are."""
    auxiliaries = {mark.start for mark in pair.marked(reading, "auxiliary") if mark.end == mark.start + 1}
    return tuple([_AUXILIARY if index in auxiliaries else token[:_STEM] for index, token in enumerate(reading.tokens)])


def _has_time(pair: ReadingPair, found: Exchange) -> bool:
    """Whether a span names a day or a month, which may be anywhere: on Monday nobody came."""
    return any(
        found.start <= mark.start < found.middle or found.behind <= mark.start < found.end
        for kind in ("day", "month")
        for mark in pair.marked(pair.one, kind)
    )


def _counts(reading: Reading, found: Exchange) -> bool:
    """Whether each number belongs to a word beside it, so that season 3, episode 4 is not season 4, episode 3."""
    between = reading.tokens[found.middle : found.behind]
    beside = (*reading.tokens[max(found.start - 1, 0) : found.start], *reading.tokens[found.end : found.end + 1])
    return _named(between) and _named(beside) and len(between) <= _LONGEST


def _named(tokens: Sequence[str]) -> bool:
    return any(
        token.isalpha() and len(token) >= _SHORTEST_WORD and READ_UNITS.get(token, _COUNT)[0] == _COUNT[0]
        for token in tokens
    )


def _has_parts(pair: ReadingPair, found: Exchange) -> bool:
    """Whether the spans are parts of a sentence: between them is a negation, or a verb that may end behind them."""
    if _has_time(pair, found):
        return False
    one = pair.one
    between = range(found.middle, found.behind)
    joining = {mark.start for mark in pair.marked(one, "joining")}
    if any(mark.start in between and mark.start not in joining for mark in pair.marked(one, "negation")):
        return True
    if not joining.isdisjoint(between):
        return False
    if found.has(pair, "auxiliary"):
        return _content(one, (*between, *range(found.end, len(one.tokens))))
    return _content(one, between) and any(one.tokens[index] not in one.content for index in between)


def _content(reading: Reading, positions: Sequence[int]) -> bool:
    """Whether a word with content is at one of the positions."""
    tokens = [reading.tokens[index] for index in positions]
    return any(token in reading.content and token.isalpha() and len(token) >= _SHORTEST_WORD for token in tokens)
