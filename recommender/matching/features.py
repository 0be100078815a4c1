"""What can be said of a pair of items in numbers: a fixed row of features, NaN where there is nothing to compare."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, nan
from typing import NamedTuple

from rapidfuzz.fuzz import ratio

from recommender.matching.agreement import (
    NO_MEASURES,
    NOTHING,
    Agreement,
    alike,
    identifiers,
    measures,
    plain,
    substituted,
    titles_contradict,
)
from recommender.matching.context import Context
from recommender.matching.profile import Profile, Weighted, multiplicity
from recommender.matching.units import Measure
from recommender.matching.wording import Wording, wordings

# Name and sign of each feature: +1 where more of it must never lower the probability, -1 where it must never raise it,
# 0 where the data decide. Stored models name their features, so one may be added at any place.
MONOTONE: dict[str, int] = {
    "cosine": 1,
    "margin": 1,
    "lead": 1,
    "rank": -1,
    "their_margin": 1,
    "their_lead": 1,
    "their_rank": -1,
    "words": 1,
    "words_margin": 1,
    "words_lead": 1,
    "jaccard": 1,
    "contained_most": 0,
    "contained_least": 1,
    "rarest_shared": 0,
    "rare_shared": 0,
    "rarest_own": -1,
    "own_least": 0,
    "own_most": 0,
    "own_alike": 0,
    "characters": 0,
    "identifiers_shared": 1,
    "identifiers_differ": -1,
    "identifiers_alike": 0,
    "numbers_shared": 0,
    "numbers_differ": -1,
    "measures_shared": 1,
    "measures_differ": -1,
    "colours_shared": 1,
    "colours_differ": -1,
    "wording": 0,
    "wording_differs": 0,
    "length_ratio": 0,
    "title_words": 1,
    "title_contained_most": 0,
    "title_contained_least": 0,
    "title_characters": 0,
    "title_elsewhere": 0,
    "title_numbers_own": -1,
    "titles_contradict": -1,
    "labels_shared": 1,
    "price_ratio": 1,
    "days_apart": 0,
    "arrivals_apart": 0,
}
FEATURES = tuple(MONOTONE)

# Those that compare a pair with the item's other candidates, and those that need named fields: a pair judged alone, or
# of plain texts, is without them.
CONTEXT = ("margin", "lead", "rank", "their_margin", "their_lead", "their_rank", "words_margin", "words_lead")
FIELDS = (
    "title_words",
    "title_contained_most",
    "title_contained_least",
    "title_characters",
    "title_elsewhere",
    "title_numbers_own",
    "titles_contradict",
    "labels_shared",
)

_SAME_WORDING = 0.6
_READ_CHARACTERS = 200
_MOST = 3
_MOST_OWN = 20.0
_DEEPEST_RANK = 10
_NO_TITLES = (nan,) * 7
_NO_VALUES = (nan, nan, nan, nan, nan, 0.0, 0.0, nan, nan)  # what `_stated` makes of two plain texts


class Comparison(NamedTuple):
    """Everything compared, before it is put in numbers; reasons are made of it.

    Attributes:
        cosine: of the embeddings.
        wording: which terms are shared, by rarity.
        words_shared: share of common words in all words, in [0, 1].
        disputed: the kinds of evidence on which the two contradict each other.
        contested: same text, different thing: like wording, or like titles, that differ in a number, code, size or
            colour; or nothing differs but a word that the titles have in each other's place.
        arrivals_apart: see `Candidate`.
    """

    one: Profile
    other: Profile
    cosine: float
    wording: Wording
    words_shared: float
    identifiers: Agreement[str] = NOTHING
    numbers: Agreement[str] = NOTHING
    colours: Agreement[str] = NOTHING
    measures: Agreement[Measure] = NO_MEASURES
    dimensions: Agreement[str] = NOTHING
    titles_contradict: bool = False
    substituted: Agreement[str] = NOTHING
    disputed: tuple[str, ...] = ()
    contested: bool = False
    arrivals_apart: int | None = None

    def contested_only_by(self, kind: str) -> bool:
        """Whether ``identifiers``, ``numbers``, ``colours``, ``measures`` or ``words`` alone make the pair contested.

        Titles are in dispute over numbers or measures; they count as the one that differs in the whole, or as numbers.
        """
        disputed = self.disputed or (("numbers",) if self.titles_contradict else ())
        return [*disputed, *(["words"] if self.substituted.contradicts else [])] == [kind]


def compare(one: Profile, other: Profile, cosine: float, arrivals_apart: int | None = None) -> Comparison:
    """Compare two items.

    Args:
        one: the item.
        other: the candidate.
        cosine: of their embeddings.
        arrivals_apart: see `Candidate`.
    """
    return comparisons(one, [other], [cosine], [arrivals_apart])[0]


def comparisons(
    one: Profile, others: Sequence[Profile], cosines: Sequence[float], arrivals_apart: Sequence[int | None]
) -> list[Comparison]:
    """Compare an item with each of some others, as `compare` does with one."""
    return [
        _comparison(one, other, cosine, wording, apart)
        for other, cosine, wording, apart in zip(others, cosines, wordings(one, others), arrivals_apart, strict=True)
    ]


def _comparison(
    one: Profile, other: Profile, cosine: float, wording: Wording, arrivals_apart: int | None
) -> Comparison:
    words_shared = _jaccard(one.said.words, other.said.words)
    if one.said.plain and other.said.plain:  # as nearly all short texts are
        return Comparison(one, other, cosine, wording, words_shared, arrivals_apart=arrivals_apart)
    here, there = one.said.whole, other.said.whole
    named = identifiers(here, there)
    numbers = plain(here.numbers, there.numbers)
    colours = plain(here.colours, there.colours)
    sizes = measures(here, there)
    dimensions = plain(here.dimensions, there.dimensions)
    contradict = titles_contradict(one.said, other.said)
    variants = substituted(one.said, other.said)
    told = {
        "identifiers": named.contradicts,
        "numbers": numbers.contradicts,
        "colours": colours.contradicts,
        "measures": sizes.contradicts or (dimensions.contradicts and not dimensions.shared),
    }
    disputed = tuple([kind for kind, differ in told.items() if differ])
    same_wording = bool(disputed) and words_shared >= _SAME_WORDING
    return Comparison(
        one=one,
        other=other,
        cosine=cosine,
        wording=wording,
        words_shared=words_shared,
        identifiers=named,
        numbers=numbers,
        colours=colours,
        measures=sizes,
        dimensions=dimensions,
        titles_contradict=contradict,
        substituted=variants,
        disputed=disputed,
        contested=contradict or variants.contradicts or same_wording,
        arrivals_apart=arrivals_apart,
    )


def features(pair: Comparison, context: Context) -> list[float]:
    """The row of a pair, in the order of `FEATURES`."""
    return [
        pair.cosine,
        context.margin,
        context.lead,
        min(context.rank, _DEEPEST_RANK),
        context.their_margin,
        context.their_lead,
        min(context.their_rank, _DEEPEST_RANK),
        pair.wording.cosine,
        context.words_margin,
        context.words_lead,
        *_word_features(pair),
        *(_NO_VALUES if pair.one.said.plain and pair.other.said.plain else _stated(pair)),
        pair.words_shared,
        pair.words_shared * len(pair.disputed) / 4,
        _ratio(len(pair.one.said.whole.folded), len(pair.other.said.whole.folded)),
        *_title_features(pair),
        _labels_shared(pair),
        _price_ratio(pair),
        _days_apart(pair),
        nan if pair.arrivals_apart is None else log(1.0 + pair.arrivals_apart),
    ]


def _word_features(pair: Comparison) -> tuple[float, ...]:
    one, other, shared = pair.one, pair.other, pair.wording
    union = one.total + other.total - shared.weight
    contained = (shared.weight / one.total, shared.weight / other.total)
    own = (one.total - shared.weight, other.total - shared.weight)
    mine, theirs = shared.mine, shared.theirs
    fewest_rare = min(one.rare, other.rare)
    return (
        shared.weight / union if union > 0 else 1.0,
        max(contained),
        min(contained),
        shared.rarest,
        shared.rare_shared / fewest_rare if fewest_rare else nan,
        min(mine.rarity, theirs.rarity),
        min(*own, _MOST_OWN),
        min(max(own), _MOST_OWN),
        ratio(mine.term, theirs.term) / 100 if mine.term and theirs.term else nan,
        ratio(one.said.whole.folded[:_READ_CHARACTERS], other.said.whole.folded[:_READ_CHARACTERS]) / 100,
    )


def _stated(pair: Comparison) -> tuple[float, ...]:
    return (*_identifier_features(pair), *_value_features(pair))


def _identifier_features(pair: Comparison) -> tuple[float, float, float]:
    found = pair.identifiers
    if not (found.shared or found.here or found.there):
        return nan, nan, nan
    one, other = pair.one.rarity, pair.other.rarity
    shared = max([max(one(code), other(code)) for code in found.shared], default=0.0)
    if not found.contradicts:
        return shared, 0.0, 0.0
    differ = min(max(map(one, found.here)), max(map(other, found.there)))
    return shared, differ, alike(found.here, found.there)


def _value_features(pair: Comparison) -> tuple[float, ...]:
    numbers, sizes, dimensions, colours = pair.numbers, pair.measures, pair.dimensions, pair.colours
    said = len(numbers.shared) + len(numbers.here) + len(numbers.there)
    return (
        nan if numbers.silent else len(numbers.shared) / said,
        float(min(len(numbers.here), len(numbers.there), _MOST)) if said else nan,
        float(min(len(sizes.shared) + len(dimensions.shared), _MOST)),
        float(min(len(sizes.here) + (dimensions.contradicts and not dimensions.shared), _MOST)),
        nan if colours.silent else float(bool(colours.shared)),
        nan if colours.silent else float(colours.contradicts),
    )


def _title_features(pair: Comparison) -> tuple[float, ...]:
    one, other = pair.one, pair.other
    mine, theirs = one.said.title, other.said.title
    if mine is None or theirs is None or one.said.title_name != other.said.title_name:
        return _NO_TITLES
    if one.title is None or other.title is None:
        return _NO_TITLES
    cosine, weight = _title_overlap(one.title, other.title)
    contained = (weight / one.title.total, weight / other.title.total)
    return (
        cosine,
        max(contained),
        min(contained),
        ratio(mine.folded, theirs.folded) / 100,
        max(_found_in(one.title, other), _found_in(other.title, one)),
        float(min(len(mine.numbers ^ theirs.numbers), _MOST)),
        float(pair.titles_contradict),
    )


def _title_overlap(one: Weighted, other: Weighted) -> tuple[float, float]:
    """Cosine of the tf-idf weights of two titles, and the summed rarity of the terms they share."""
    mine, theirs, rarity = one.counts, other.counts, one.rarity
    fewer, more = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    # A list, in reading order: floating-point sums depend on the order, and a set has none to rely on.
    shared = [term for term in fewer if term in more]
    weights = [rarity[term] for term in shared]
    product = 0.0
    for term, weight in zip(shared, weights, strict=True):
        both = mine[term] * theirs[term]
        product += weight * weight * (1.0 if both == 1 else multiplicity(mine[term]) * multiplicity(theirs[term]))
    return min(product / (one.norm * other.norm), 1.0), sum(weights)


def _found_in(title: Weighted, whole: Profile) -> float:
    """Which part of a title the whole other item mentions, by rarity."""
    mentioned = whole.said.whole.counts
    return sum([weight for term, weight in title.rarity.items() if term in mentioned]) / title.total


def _labels_shared(pair: Comparison) -> float:
    mine, theirs = pair.one.said.labels, pair.other.said.labels
    parts = [_contained(mine[name], theirs[name]) for name in mine if name in theirs]
    return sum(parts) / len(parts) if parts else nan


def _contained(one: frozenset[str], other: frozenset[str]) -> float:
    fewest = min(len(one), len(other))
    return len(one & other) / fewest if fewest else 0.0


def _price_ratio(pair: Comparison) -> float:
    mine, theirs = pair.one.price, pair.other.price
    return _ratio(mine, theirs) if mine and theirs else nan


def _days_apart(pair: Comparison) -> float:
    """Logarithm of one plus the days between them."""
    mine, theirs = pair.one.timestamp, pair.other.timestamp
    return nan if mine is None or theirs is None else log(1.0 + abs((mine - theirs).total_seconds()) / 86_400)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0


def _ratio(one: float, other: float) -> float:
    return min(one, other) / max(one, other) if one or other else 1.0
