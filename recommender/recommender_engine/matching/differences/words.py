"""Contradictions between names that are the same but for one word."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from rapidfuzz.distance import OSA

from recommender_engine.matching.differences.pair import ReadingPair, agreement
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import Reading
from recommender_engine.matching.text.vocabulary import COLOURS, NUMBER_WORDS

# At least this share of the words of a name has content; two names have at least so many words in common.
_NAMES, _LEAST_SHARED = 0.7, 2
_MOST_EXCHANGED = 2
# A misspelled word has two letters swapped, from the second length on one wrong letter, from the third at most two.
_SHORTEST_SWAPPED, _SHORTEST_MISSPELLED, _LONG_WORD = 4, 5, 8
_LONGEST_ABBREVIATION = 4


def word(pair: ReadingPair) -> Agreement[str] | None:
    """One word in place of another, all other words the same: drill GSR and drill GSB, fig candle and cedar candle.

    Two words in place of one or two count where they have the same place. Not where both may be spellings of one word.
    """
    most = max(len(pair.here), len(pair.there))
    if pair.shared < _LEAST_SHARED or not pair.here or not pair.there or most > _MOST_EXCHANGED:
        return None
    if "domains" in pair.one.has | pair.other.has:  # two shops
        return None
    if not (_names(pair.one) and _names(pair.other) and all(token.isalpha() for token in pair.here | pair.there)):
        return None
    here, there = (tuple(pair.here), tuple(pair.there)) if most == 1 else _in_one_place(pair)
    if not here or not there or _one_word("".join(here), "".join(there)):
        return None
    return agreement([" ".join(here)], [" ".join(there)])


def _in_one_place(pair: ReadingPair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words between the common beginning and the common end of both texts; none if some of them are common too."""
    one, other = pair.one.tokens, pair.other.tokens
    start = _equal(zip(one, other, strict=False))
    end = _equal(zip(one[start:][::-1], other[start:][::-1], strict=False))
    here, there = one[start : len(one) - end], other[start : len(other) - end]
    content = {word for word in (*here, *there) if word in pair.one.content or word in pair.other.content}
    return (here, there) if content <= pair.here | pair.there else ((), ())


def _equal(tokens: Iterable[tuple[str, str]]) -> int:
    """Number of pairs before the first two that differ."""
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], tokens))


def _names(reading: Reading) -> bool:
    return reading.content.total() >= _NAMES * len(reading.tokens)


def _one_word(one: str, other: str) -> bool:
    """Whether one word is a misspelling, an abbreviation, the beginning or a translation of the other."""
    shorter, longer = sorted((one, other), key=len)
    known = {COLOURS.get(one, NUMBER_WORDS.get(one, one)), COLOURS.get(other, NUMBER_WORDS.get(other, other))}
    if len(known) == 1 or longer.startswith(shorter):
        return True
    letters = iter(longer)
    abbreviated = len(shorter) <= _LONGEST_ABBREVIATION < len(longer) and one[0] == other[0]
    if abbreviated and all(letter in letters for letter in shorter):
        return True
    if len(longer) < (_SHORTEST_SWAPPED if sorted(one) == sorted(other) else _SHORTEST_MISSPELLED):
        return False
    most = 1 if len(shorter) < _LONG_WORD else 2
    return one[1:] != other[1:] and OSA.distance(one, other, score_cutoff=most) <= most
