"""Values on which two texts agree, and values that only one of them has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from rapidfuzz.fuzz import ratio

from recommender_engine.matching.pair.profile import ItemTerms
from recommender_engine.matching.text.terms import Terms
from recommender_engine.matching.text.units import Measure, same

T = TypeVar("T")
_SHORTEST_STEM = 4
_COMPARED = 3
# Limit of characters searched for parts of codes, which bounds the cost of texts with thousands of codes.
_MOST_SEARCHED = 1_000_000
# Two titles with this many differing words are different phrasings, even above the same text.
_MOST_SUBSTITUTED = 2
_LEAST_REST = 3
# From this similarity on, two words are likely spellings of one word.
_ONE_WORD = 0.7


class Agreement(NamedTuple, Generic[T]):
    """One kind of evidence on both sides.

    Attributes:
        shared: on both sides.
        here: only in the first.
        there: only in the second.
    """

    shared: tuple[T, ...]
    here: tuple[T, ...]
    there: tuple[T, ...]

    @property
    def contradicts(self) -> bool:
        """Whether each side has a value that the other lacks."""
        return bool(self.here and self.there)

    @property
    def incomparable(self) -> bool:
        """Whether one side has no value, so that there is nothing to compare."""
        return not (self.shared or self.contradicts)


NOTHING: Agreement[str] = Agreement((), (), ())
NO_MEASURES: Agreement[Measure] = Agreement((), (), ())


def identifiers(one: Terms, other: Terms) -> Agreement[str]:
    """Compare identifiers in any spelling: ``DSC-W120`` agrees with ``dsc w120``."""
    mine, theirs = one.identifiers, other.identifiers
    if not mine and not theirs:
        return NOTHING
    shared = (mine & theirs) | (mine & other.joins) | (theirs & one.joins)
    return Agreement(tuple(sorted(shared)), _unmatched(mine - shared, shared), _unmatched(theirs - shared, shared))


def _unmatched(left: frozenset[str], shared: frozenset[str]) -> tuple[str, ...]:
    """The codes that are no part of a shared one, such as ``w120`` of ``dsc w120``."""
    matches = " ".join(shared)
    if len(left) * len(matches) > _MOST_SEARCHED:
        return tuple(sorted(left))
    return tuple(sorted([code for code in left if code not in matches]))


def alike(here: Iterable[str], there: Iterable[str]) -> float:
    """Highest spelling similarity between two lists of identifiers, in [0, 1]; 1 if one contains the other."""
    best = 0.0
    theirs = sorted(there, key=len)[-_COMPARED:]
    for mine in sorted(here, key=len)[-_COMPARED:]:
        for their in theirs:
            if min(len(mine), len(their)) >= _SHORTEST_STEM and (mine in their or their in mine):
                return 1.0
            best = max(best, ratio(mine, their) / 100)
    return best


def plain(one: frozenset[str], other: frozenset[str]) -> Agreement[str]:
    """Compare sets of numbers or colours."""
    if not one and not other:
        return NOTHING
    return Agreement(tuple(sorted(one & other)), tuple(sorted(one - other)), tuple(sorted(other - one)))


def titles_contradict(one: ItemTerms, other: ItemTerms) -> bool:
    """Whether each title states a number or size that does not occur in the whole other item."""
    if one.title is None or other.title is None or one.title_name != other.title_name:
        return False
    numbers = (one.title.numbers - _values(other.whole), other.title.numbers - _values(one.whole))
    if all(numbers):
        return True
    here = {measure.kind for measure in one.title.measures if not _mentioned(measure, other.whole)}
    there = {measure.kind for measure in other.title.measures if not _mentioned(measure, one.whole)}
    if here & there:
        return True
    return bool(one.title.dimensions - other.whole.dimensions and other.title.dimensions - one.whole.dimensions)


def substituted(one: ItemTerms, other: ItemTerms) -> Agreement[str]:
    """The words exchanged between two otherwise equal titles: fig candle, cedar candle.

    Spellings of one word count as one word, and a rephrased title is no variant of the other.
    """
    if one.title is None or other.title is None or one.title_name != other.title_name:
        return NOTHING
    mine = [word for word in one.title.counts if word not in other.whole.counts]
    theirs = [word for word in other.title.counts if word not in one.whole.counts]
    shared = len(one.title.counts.keys() & other.title.counts.keys())
    if not (mine and theirs) or max(len(mine), len(theirs)) > min(shared, _MOST_SUBSTITUTED):
        return NOTHING
    rest = Counter(one.whole.counts) - Counter(one.title.counts)
    if rest.total() < _LEAST_REST or rest != Counter(other.whole.counts) - Counter(other.title.counts):
        return NOTHING
    if alike(mine, theirs) >= _ONE_WORD:
        return NOTHING
    return Agreement((), tuple(mine), tuple(theirs))


def _values(terms: Terms) -> frozenset[str]:
    """Numbers with and without a unit: "set of 6" has the 6 of "6 pieces"."""
    return terms.numbers | {f"{measure.value:g}" for measure in terms.measures}


def _mentioned(measure: Measure, terms: Terms) -> bool:
    return any(same(measure, other) for other in terms.measures) or f"{measure.value:g}" in terms.numbers


def measures(one: Terms, other: Terms) -> Agreement[Measure]:
    """Compare measures kind by kind, rounding allowed; a kind that only one side mentions is no evidence."""
    if not one.measures or not other.measures:
        return NO_MEASURES
    kinds = {measure.kind for measure in one.measures} & {measure.kind for measure in other.measures}
    if not kinds:
        return NO_MEASURES
    mine = [measure for measure in one.measures if measure.kind in kinds]
    theirs = [measure for measure in other.measures if measure.kind in kinds]
    shared = tuple(measure for measure in mine if any(same(measure, their) for their in theirs))
    here = [measure for measure in mine if measure not in shared]
    there = [measure for measure in theirs if not any(same(measure, match) for match in shared)]
    # Only kinds in which each side has a value that the other lacks are in dispute.
    disputed = {measure.kind for measure in here} & {measure.kind for measure in there}
    return Agreement(
        shared,
        tuple(measure for measure in here if measure.kind in disputed),
        tuple(measure for measure in there if measure.kind in disputed),
    )
