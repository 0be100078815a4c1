"""Contradictions between sentences: negation, opposites and direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from recommender_engine.matching.differences.exchange import exchange_in
from recommender_engine.matching.differences.pair import ReadingPair, agreement, texts_of, words_of
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import Reading

_STEM = 4
_REACH = 4
_PREFIXES = ("un", "dis", "de", "des", "in", "ir", "im", "non", "on", "nie", "ab", "aus", "ent")


def negation(pair: ReadingPair) -> Agreement[str] | None:
    """Only one text has a negation, and the other does not express it in other words."""
    mine, theirs = pair.marks("negation")
    if bool(mine) == bool(theirs) or not (words_of(pair.one, mine) ^ words_of(pair.other, theirs)) - _both(pair):
        return None
    if pair.marked(pair.one if theirs else pair.other, "failing"):
        return None
    beside = [words_of(reading, pair.marked(reading, "auxiliary")) for reading in (pair.one, pair.other)]
    if not pair.shared or not pair.alike(
        words_of(pair.one, mine) | beside[0], words_of(pair.other, theirs) | beside[1], more=1
    ):
        return None
    return agreement(texts_of(pair.one, mine), texts_of(pair.other, theirs))


def _both(pair: ReadingPair) -> set[str]:
    return set(pair.one.tokens) & set(pair.other.tokens)


def opposite(pair: ReadingPair) -> Agreement[str] | None:
    """A word of one text is replaced by its opposite in the other."""
    mine, theirs = pair.marks("opposite")
    for mark in mine:
        axis, _, pole = mark.key.partition(":")
        if any(their.key == mark.key for their in theirs):
            continue
        for their in theirs:
            its, _, other = their.key.partition(":")
            if its != axis or other == pole or any(one.key == their.key for one in mine):
                continue
            if pair.alike(words_of(pair.one, [mark]), words_of(pair.other, [their])):
                return agreement(texts_of(pair.one, [mark]), texts_of(pair.other, [their]))
    return _prefixed(pair)


def _prefixed(pair: ReadingPair) -> Agreement[str] | None:
    """``salted`` and ``unsalted``: the words differ by a negating prefix."""
    mine, theirs = ([word for word in own if len(word) > _STEM] for own in (pair.only_here, pair.only_there))
    for word in mine:
        for their in theirs:
            longer, shorter = (word, their) if len(word) > len(their) else (their, word)
            prefix = longer.removesuffix(shorter)
            if prefix in _PREFIXES and pair.alike({word}, {their}):
                return agreement([word], [their])
    return None


def direction(pair: ReadingPair) -> Agreement[str] | None:
    """The same two ends in opposite directions."""
    if pair.here or pair.there:
        return None
    exchanged = exchange_in(pair)
    if exchanged is not None:
        if exchanged.enumerates(pair):
            return None
        if exchanged.has(pair, "from", "to"):
            return exchanged.agreement(pair)
    mine, theirs = list(_ways(pair.one, pair)), list(_ways(pair.other, pair))
    for source, target in mine:
        for start, end in theirs:
            out, back = (source - target) & (end - start), (target - source) & (start - end)
            if out and back and not (source - target) & (start - end):
                return agreement(sorted(back), sorted(out))
    return None


def _ways(reading: Reading, pair: ReadingPair) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """The words before and after each word of direction, up to the next such word."""
    tokens = reading.tokens
    tos = pair.marked(reading, "to")
    froms = {mark.start: mark.end for mark in pair.marked(reading, "from")}
    stops = {*froms, *(mark.start for mark in tos)}
    purposes = {mark.start for mark in pair.marked(reading, "for")}
    for mark in tos:
        target = _until(tokens[mark.end :], mark.end, stops, reading)
        before = [start for start in froms if start < mark.start]
        behind = [start for start in froms if start >= mark.end]
        if before:
            start = froms[max(before)]
            yield frozenset(_content(tokens[start : mark.start], reading)), target
        elif behind and min(behind) - mark.end <= _REACH:
            yield _until(tokens[froms[min(behind)] :], froms[min(behind)], stops, reading), target
        if (not before and mark.start not in purposes) or tokens[mark.start] in {"\u2192", "->", "=>"}:
            yield frozenset(_content(tokens[: mark.start], reading)[-2:]), target


def _until(tokens: Sequence[str], position: int, stops: Iterable[int], reading: Reading) -> frozenset[str]:
    end = min([stop - position for stop in stops if stop > position], default=len(tokens))
    return frozenset(_content(tokens[:end], reading)[:_REACH])


def _content(tokens: Iterable[str], reading: Reading) -> list[str]:
    return [token for token in tokens if token in reading.content or len(token) == 1]
