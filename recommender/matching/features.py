"""What can be said of a pair of items in numbers: a fixed row of features, NaN where there is nothing to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, nan
from typing import NamedTuple

from rapidfuzz.fuzz import ratio

from recommender.matching.agreement import Agreement, alike, identifiers, measures, plain, titles_contradict
from recommender.matching.profile import Profile, Weighted
from recommender.matching.units import Measure

# Name and sign of each feature: +1 where more of it must never lower the probability, -1 where it must never raise it,
# 0 where the data decide. Stored models name their features, so one may be added at any place.
MONOTONE: dict[str, int] = {
    "cosine": 1,
    "margin": 1,
    "rank": -1,
    "words": 1,
    "words_margin": 1,
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
}
FEATURES = tuple(MONOTONE)

# Those that compare a pair with the item's other candidates, and those that need named fields: a pair judged alone, or
# of plain texts, is without them.
CONTEXT = ("margin", "rank", "words_margin")
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


class Overlap(NamedTuple):
    """Terms two texts share, by rarity.

    Attributes:
        terms: the shared terms, in reading order.
        cosine: of the tf-idf weights, in [0, 1].
        weight: sum of the rarity of the shared terms.
    """

    terms: list[str]
    cosine: float
    weight: float


class Context(NamedTuple):
    """How a pair stands among the item's other candidates; NaN when there is no other.

    Attributes:
        margin: cosine minus that of the best other candidate.
        words_margin: the same of `Overlap.cosine`.
        rank: how many of the others are closer.
    """

    margin: float = nan
    words_margin: float = nan
    rank: float = nan


class Comparison(NamedTuple):
    """Everything compared, before it is put in numbers; reasons are made of it."""

    one: Profile
    other: Profile
    cosine: float
    overlap: Overlap
    identifiers: Agreement[str]
    numbers: Agreement[str]
    colours: Agreement[str]
    measures: Agreement[Measure]
    dimensions: Agreement[str]
    titles_contradict: bool

    @property
    def contested(self) -> bool:
        """Same text, different thing: like wording, or like titles, that differ in a number, code, size or colour."""
        if self.titles_contradict:
            return True
        return bool(self.disputes()) and _jaccard(self.one.said.words, self.other.said.words) >= _SAME_WORDING

    def disputes(self) -> int:
        """On how many kinds of evidence the two contradict each other, 0 to 4."""
        sizes = self.measures.contradicts or self._other_dimensions()
        return self.identifiers.contradicts + self.numbers.contradicts + self.colours.contradicts + sizes

    def _other_dimensions(self) -> bool:
        return self.dimensions.contradicts and not self.dimensions.shared


def compare(one: Profile, other: Profile, cosine: float) -> Comparison:
    """Compare two items; ``cosine`` is that of their embeddings."""
    here, there = one.said.whole, other.said.whole
    return Comparison(
        one=one,
        other=other,
        cosine=cosine,
        overlap=overlap(one.whole, other.whole),
        identifiers=identifiers(here, there),
        numbers=plain(here.numbers, there.numbers),
        colours=plain(here.colours, there.colours),
        measures=measures(here, there),
        dimensions=plain(here.dimensions, there.dimensions),
        titles_contradict=titles_contradict(one.said, other.said),
    )


def overlap(one: Weighted, other: Weighted) -> Overlap:
    """Terms in common."""
    mine, theirs, rarity = one.tfidf, other.tfidf, one.rarity
    # A list, in reading order: floating-point sums depend on the order, and a set has none to rely on.
    shared = [term for term in mine if term in theirs]
    product = sum([mine[term] * theirs[term] for term in shared])
    weight = sum([rarity[term] for term in shared])
    return Overlap(shared, min(product / (one.norm * other.norm), 1.0), weight)


def contexts(pairs: Sequence[Comparison]) -> list[Context]:
    """How each pair of one item and a candidate stands among all of them."""
    if len(pairs) == 1:
        return [Context()]
    cosines = [pair.cosine for pair in pairs]
    words = [pair.overlap.cosine for pair in pairs]
    best, best_words = _best_two(cosines), _best_two(words)
    return [
        Context(
            margin=cosine - best[cosine == best[0]],
            words_margin=word - best_words[word == best_words[0]],
            rank=float(sum([other > cosine for other in cosines])),
        )
        for cosine, word in zip(cosines, words, strict=True)
    ]


def _best_two(values: Sequence[float]) -> tuple[float, float]:
    first, second = sorted(values, reverse=True)[:2]
    return first, second


def features(pair: Comparison, context: Context) -> list[float]:
    """The row of a pair, in the order of `FEATURES`."""
    disputes = pair.disputes()
    wording = _jaccard(pair.one.said.words, pair.other.said.words)
    return [
        pair.cosine,
        context.margin,
        min(context.rank, _DEEPEST_RANK),
        pair.overlap.cosine,
        context.words_margin,
        *_word_features(pair),
        *_identifier_features(pair),
        *_value_features(pair),
        wording,
        wording * disputes / 4,
        _ratio(len(pair.one.said.whole.folded), len(pair.other.said.whole.folded)),
        *_title_features(pair),
        _labels_shared(pair),
        _price_ratio(pair),
        _days_apart(pair),
    ]


def _word_features(pair: Comparison) -> tuple[float, ...]:
    one, other, shared = pair.one, pair.other, pair.overlap
    union = one.whole.total + other.whole.total - shared.weight
    contained = (shared.weight / one.whole.total, shared.weight / other.whole.total)
    own = (one.whole.total - shared.weight, other.whole.total - shared.weight)
    rarity, others = one.whole.rarity, other.whole.rarity
    mine, theirs = _rarest_own(rarity, others), _rarest_own(others, rarity)
    fewest_rare = min(len(one.rare), len(other.rare))
    return (
        shared.weight / union if union > 0 else 1.0,
        max(contained),
        min(contained),
        max([rarity[term] for term in shared.terms], default=0.0),
        len(one.rare & other.rare) / fewest_rare if fewest_rare else nan,
        min(mine[0], theirs[0]),
        min(*own, _MOST_OWN),
        min(max(own), _MOST_OWN),
        ratio(mine[1], theirs[1]) / 100 if mine[1] and theirs[1] else nan,
        ratio(one.said.whole.folded[:_READ_CHARACTERS], other.said.whole.folded[:_READ_CHARACTERS]) / 100,
    )


def _rarest_own(mine: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[float, str]:
    """The rarest term that the other side lacks, and its rarity."""
    return max([(weight, term) for term, weight in mine.items() if term not in theirs], default=(0.0, ""))


def _identifier_features(pair: Comparison) -> tuple[float, float, float]:
    found = pair.identifiers
    if not (found.shared or found.here or found.there):
        return nan, nan, nan
    one, other = pair.one.whole.rarity, pair.other.whole.rarity
    shared = max([max(one.get(code, 0.0), other.get(code, 0.0)) for code in found.shared], default=0.0)
    if not found.contradicts:
        return shared, 0.0, 0.0
    differ = min(max([one[code] for code in found.here]), max([other[code] for code in found.there]))
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
    if one.title is None or other.title is None or mine is None or theirs is None:
        return _NO_TITLES
    if one.said.title_name != other.said.title_name:
        return _NO_TITLES
    shared = overlap(one.title, other.title)
    contained = (shared.weight / one.title.total, shared.weight / other.title.total)
    return (
        shared.cosine,
        max(contained),
        min(contained),
        ratio(mine.folded, theirs.folded) / 100,
        max(_found_in(one.title, other.whole), _found_in(other.title, one.whole)),
        float(min(len(mine.numbers ^ theirs.numbers), _MOST)),
        float(pair.titles_contradict),
    )


def _found_in(title: Weighted, whole: Weighted) -> float:
    """Which part of a title the whole other item mentions, by rarity."""
    mentioned = whole.rarity
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
    return min(one, other) / max(one, other)
