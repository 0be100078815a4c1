"""Features of named fields and attributes: titles, short fields as labels, prices."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from typing import NamedTuple

from rapidfuzz.fuzz import ratio

from recommender_engine.matching.features.feature import Evidence, Kind, ReasonInput, WeighedReason
from recommender_engine.matching.features.phrases import listed, share_of
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.pair.profile import Profile, Weighted, multiplicity
from recommender_engine.matching.text.terms import Terms

_MOST = 3


class Titles(NamedTuple):
    """The titles of a pair.

    Attributes:
        pair: the comparison.
        mine: terms of the item's title.
        theirs: terms of the candidate's title.
        one: weights of the item's title.
        other: weights of the candidate's title.
        cosine: of their tf-idf weights.
        most: summed rarity of the shared terms, as a share of the side with the lower sum.
        least: the same, as a share of the side with the higher sum.
    """

    pair: Comparison
    mine: Terms
    theirs: Terms
    one: Weighted
    other: Weighted
    cosine: float
    most: float
    least: float


def _titles_of(pair: Comparison, _: Context) -> Titles | None:
    one, other = pair.one, pair.other
    mine, theirs = one.terms.title, other.terms.title
    if mine is None or theirs is None or one.terms.title_name != other.terms.title_name:
        return None
    if one.title is None or other.title is None:
        return None
    cosine, weight = _overlap(one.title, other.title)
    contained = (weight / one.title.total, weight / other.title.total)
    return Titles(pair, mine, theirs, one.title, other.title, cosine, max(contained), min(contained))


def _overlap(one: Weighted, other: Weighted) -> tuple[float, float]:
    """Cosine of the tf-idf weights of two titles, and the summed rarity of the terms they share."""
    mine, theirs, rarity = one.counts, other.counts, one.rarity
    fewer, more = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    # A list in reading order: floating-point sums depend on the order, and the order of a set is not defined.
    shared = [term for term in fewer if term in more]
    weights = [rarity[term] for term in shared]
    product = 0.0
    for term, weight in zip(shared, weights, strict=True):
        both = mine[term] * theirs[term]
        product += weight * weight * (1.0 if both == 1 else multiplicity(mine[term]) * multiplicity(theirs[term]))
    return min(product / (one.norm * other.norm), 1.0), sum(weights)


TITLES = Kind("titles", _titles_of)
"""Of the first of several named fields, where both have it."""

LABELS = Kind("labels", lambda pair, _: pair if pair.one.terms.labels and pair.other.terms.labels else None)
"""Of the other short fields."""


def title_words(titles: Titles) -> float:
    """Cosine of the tf-idf weights of the titles."""
    return titles.cosine


def title_contained_most(titles: Titles) -> float:
    """Summed rarity of the shared terms, as a share of that of the title with the lower sum."""
    return titles.most


def title_contained_least(titles: Titles) -> float:
    """Summed rarity of the shared terms, as a share of that of the title with the higher sum."""
    return titles.least


def title_characters(titles: Titles) -> float:
    """Spelling similarity of the titles."""
    return ratio(titles.mine.folded, titles.theirs.folded) / 100


def title_elsewhere(titles: Titles) -> float:
    """Share of a title, by rarity, that occurs in the whole other item; the higher of the two titles."""
    return max(_found_in(titles.one, titles.pair.other), _found_in(titles.other, titles.pair.one))


def title_numbers_own(titles: Titles) -> float:
    """Number of numbers that only one title states, at most three."""
    return float(min(len(titles.mine.numbers ^ titles.theirs.numbers), _MOST))


def titles_contradict(titles: Titles) -> float:
    """1 if each title states a number or size that does not occur in the whole other item."""
    return float(titles.pair.titles_contradict)


def labels_shared(pair: Comparison) -> float:
    """Share of a short field that occurs in that of the other side, averaged over the fields of both."""
    mine, theirs = pair.one.terms.labels, pair.other.terms.labels
    parts = [_contained(mine[name], theirs[name]) for name in mine if name in theirs]
    return sum(parts) / len(parts) if parts else nan


def price_ratio(pair: Comparison) -> float:
    """Lower price divided by the higher."""
    mine, theirs = pair.one.price, pair.other.price
    return min(mine, theirs) / max(mine, theirs) if mine and theirs else nan


def _found_in(title: Weighted, whole: Profile) -> float:
    mentioned = whole.terms.whole.counts
    return sum([weight for term, weight in title.rarity.items() if term in mentioned]) / title.total


def _contained(one: frozenset[str], other: frozenset[str]) -> float:
    fewest = min(len(one), len(other))
    return len(one & other) / fewest if fewest else 0.0


def _titles(inputs: ReasonInput) -> Iterator[WeighedReason]:
    one, other, weight = inputs.pair.one, inputs.pair.other, inputs.weight
    if one.title is None or other.title is None or one.terms.title_name != other.terms.title_name:
        return
    shared = [term for term in one.title.rarity if term in other.title.rarity]
    share = min(sum([one.title.rarity[term] for term in shared]) / min(one.title.total, other.title.total), 1.0)
    if weight > 0 and not share:  # similar in a way that has no visible evidence
        return
    text = f"share {share_of(share, weight)} of their words" if share else "have no word in common"
    code = "titles_alike" if weight > 0 else "titles_differ"
    name = one.terms.title_name or "title"
    yield inputs.reason(code, f"the two {name}s {text}", weight, share=round(share, 4))


def _labels(inputs: ReasonInput) -> Iterator[WeighedReason]:
    mine, theirs, weight = inputs.pair.one.terms.labels, inputs.pair.other.terms.labels, inputs.weight
    names = [name for name in mine if name in theirs]
    same = [name for name in names if mine[name] & theirs[name]]
    differ = [name for name in names if name not in same]
    if same and weight > 0:
        yield inputs.reason("same_field", f"same {listed(same)}", weight, fields=same)
    if differ and weight <= 0:
        yield inputs.reason("fields_differ", f"another {listed(differ)}", weight, fields=differ)


def _prices(inputs: ReasonInput) -> Iterator[WeighedReason]:
    here, there = inputs.pair.one.price, inputs.pair.other.price
    if here and there:
        apart = 1.0 - min(here, there) / max(here, there)
        text = f"the prices are {apart:.0%} apart" if apart else "same price"
        yield inputs.reason("price_difference", text, inputs.weight, here=here, there=there)


TITLE = Evidence("titles", _titles)
FIELDS = Evidence("labels", _labels)
PRICES = Evidence("prices", _prices)
