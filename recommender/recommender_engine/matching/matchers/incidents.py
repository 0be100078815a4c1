"""Detection of reports of one incident: several people describe a current event within minutes, in different words.

By meaning and words, reports of one outage are no more alike than questions about one topic. The difference is that
they describe the present: "since this morning", "today", "nobody here", "out of order". Lists of such phrases are in
the files of ``languages``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeVar

import numpy as np

from recommender_engine.items import WordLists
from recommender_engine.matching.matchers.matcher import Vector
from recommender_engine.matching.pair.context import cosines_among
from recommender_engine.matching.pair.profile import ItemTerms
from recommender_engine.matching.text.lexicon import Phrase, lexicon, words_of_now
from recommender_engine.matching.text.reading import MOST_CHARACTERS, Reading
from recommender_engine.matching.trees import Floats

T = TypeVar("T")

REPORTS = 4
"""The number of reports describing the present that make an incident, with the latest."""

ALIKE = 0.5
"""Cosine of the latest report with each of those."""

_AMONG = 0.4  # … and of the reports with each other
_OUTLIER_BELOW = 0.8  # a report whose mean cosine is below this share of that of the others is an outlier
# Share of all near items that describe the present: of many questions about one topic, a few do.
_NEAR, _SHARE = 0.6, 0.5
# For a report that does not describe the present: its cosine with the latest report, and its mean with those that do.
_OTHERS_FROM, _OTHERS_AMONG = 0.65, 0.6
# Independent reports use different words: two texts with this share in common differ in their subject.
_SENTENCE = 0.6
_NAMED_FROM = 100  # a number of three digits is a name: reports with different ones have different subjects
_TIME = re.compile(r"(?<![\d.,:])(?:[01]?\d|2[0-3])(?:[:h][0-5]\d(?![\d:])|[ap]m(?!\w))")


class Report(NamedTuple):
    """An item that may be a report of an incident.

    Attributes:
        terms: its terms.
        vector: its embedding, shape (dimension,), unit length.
        words: of its collection, in addition to the shipped ones.
    """

    terms: ItemTerms
    vector: Vector
    words: tuple[WordLists, ...] = ()

    @property
    def describes_the_present(self) -> bool:
        """See `describes_the_present`."""
        return describes_the_present(self.terms, self.words)

    @property
    def reading(self) -> Reading | None:
        """Its text read word by word; ``None`` for a long one."""
        return self.terms.read_by(lexicon(self.words))


def same_incident(latest: Report, earlier: Sequence[Report]) -> list[int]:
    """Indices of the earlier reports of the same incident as the latest one; empty if there are none.

    Args:
        latest: the new item.
        earlier: items that arrived within minutes before it, also short prose, in no contested pair with it.
    """
    if len(earlier) < REPORTS - 1 or not latest.describes_the_present:
        return []
    among = cosines_among(np.stack([latest.vector, *(one.vector for one in earlier)]))
    agreeing = [number for number, one in enumerate(earlier, 1) if not _different_subjects(latest, one)]
    agreeing.sort(key=lambda number: (-among[0, number], number))
    reports = _without_outliers(_core(latest, earlier, among, agreeing), among)
    near = sum(among[0, number] >= _NEAR for number in agreeing)
    if len(reports) < REPORTS or 0 not in reports or len(reports) < _SHARE * (near + 1):
        return []
    core = [number for number in reports if number]
    others = [
        number
        for number in agreeing
        if not earlier[number - 1].describes_the_present
        and among[0, number] >= _OTHERS_FROM
        and float(among[number, core].mean()) >= _OTHERS_AMONG
        and not any(_different_subjects(earlier[number - 1], earlier[other - 1]) for other in core)
    ]
    return sorted([number - 1 for number in (*core, *others)])


def _core(latest: Report, earlier: Sequence[Report], among: Floats, agreeing: Sequence[int]) -> list[int]:
    """Indices of the latest report (0) and of those that describe the present and are similar to it and to each other.

    The nearest come first.
    """
    found = [0]
    for number in agreeing:
        one = earlier[number - 1]
        if among[0, number] < ALIKE or not one.describes_the_present:
            continue
        others = found[1:]
        if all(among[number, other] >= _AMONG and not _different_subjects(one, earlier[other - 1]) for other in others):
            found.append(number)
    return found


def _without_outliers(found: Sequence[int], among: Floats) -> list[int]:
    """The reports without outliers: those about as similar to the others as the others are to each other."""
    if len(found) < REPORTS:
        return []
    inner = among[np.ix_(found, found)]
    count = len(found)
    sums = inner.sum(axis=1) - inner.diagonal()
    rest = (sums.sum() - 2 * sums) / ((count - 1) * (count - 2))
    return [
        number
        for number, own, other in zip(found, sums / (count - 1), rest, strict=True)
        if own >= _OUTLIER_BELOW * other
    ]


def describes_the_present(terms: ItemTerms, own: tuple[WordLists, ...] = ()) -> bool:
    """Whether a text describes the present: today, since noon, out of order, nobody here.

    Not if it says that somebody is away, sick or on leave: such texts arrive together and are about one person each.

    Args:
        terms: of the text.
        own: words of its collection, in addition to the shipped ones.
    """
    folded, known = terms.whole.folded[:MOST_CHARACTERS], lexicon(own)
    words = words_of_now(folded)
    if not _has_any(words, known.now) and _TIME.search(folded) is None:
        return False
    return not _has_any(words, known.absence)


def _has_any(words: Phrase, phrases: Mapping[str, tuple[Phrase, ...]]) -> bool:
    return any(
        words[index : index + len(phrase)] == phrase
        for index, word in enumerate(words)
        for phrase in phrases.get(word, ())
    )


def _different_subjects(one: Report, other: Report) -> bool:
    """Whether two reports have different subjects.

    Both name codes, numbers or times of day and have none of that kind in common, or they are the same sentence with
    one word replaced.
    """
    if _disjoint(one.terms.whole.identifiers, other.terms.whole.identifiers):
        return True
    here, there = one.reading, other.reading
    if here is None or there is None:
        return False
    if _disjoint(_names(here), _names(there)) or _disjoint(frozenset(here.moments), frozenset(there.moments)):
        return True
    return _one_sentence(here, there)


def _one_sentence(one: Reading, other: Reading) -> bool:
    """Whether most words are the same, and each has one that the other lacks: a template filled in twice."""
    here, there = Counter(one.tokens), Counter(other.tokens)
    if (here & there).total() < _SENTENCE * max(len(one.tokens), len(other.tokens)):
        return False
    return bool((here - there).keys() & one.content.keys() and (there - here).keys() & other.content.keys())


def _names(reading: Reading) -> frozenset[float]:
    return frozenset([number for value in reading.values for number in value.numbers if number >= _NAMED_FROM])


def _disjoint(one: AbstractSet[T], other: AbstractSet[T]) -> bool:
    return bool(one) and bool(other) and one.isdisjoint(other)
