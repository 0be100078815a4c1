"""One item as the features read it: its terms, and how much each of them weighs in its collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from recommender.items import Item
from recommender.matching.statistics import TermStatistics, background, rarities
from recommender.matching.terms import Terms, terms_of
from recommender.matching.trees import Floats
from recommender.matching.vocabulary import COLOURS, NUMBER_WORDS

# A field of so few words names something (a brand, a category) and is compared as a label.
_LABEL_WORDS = 4
_RARE = 0.5
# Terms take some ten times the memory of their text.
_LONG = 4000  # characters
_KEPT_ITEMS = 4096
_KEPT_LONG_ITEMS = 256
_VALUES = frozenset(COLOURS) | frozenset(NUMBER_WORDS)


@dataclass(frozen=True, slots=True)
class ItemTerms:
    """What an item says, taken apart; depends on nothing but the text and the fields.

    Attributes:
        text: the text, or all fields.
        whole: its terms.
        background: of the terms of the whole, see `statistics.background`.
        multiplicities: of the terms of the whole, see `multiplicity`.
        words: those that are the wording: of letters only, and neither a colour nor a number.
        title: those of the first of several named fields.
        title_name: the name of that field.
        labels: the other short fields, by name, as sets of terms.
    """

    text: str
    whole: Terms
    background: Floats
    multiplicities: Floats
    words: frozenset[str]
    title: Terms | None
    title_name: str | None
    labels: Mapping[str, frozenset[str]]


def item_terms(item: Item) -> ItemTerms:
    """Take an item apart; of a long text the beginning, see `terms_of`."""
    fields = None if item.fields is None else tuple(item.fields.items())
    # An item is taken apart when it arrives, to be counted, and again whenever it is a candidate.
    recently = _recently_taken_apart if len(item.content) <= _LONG else _recently_taken_apart_long
    return recently(item.content, fields)


def _taken_apart(content: str, fields: tuple[tuple[str, str], ...] | None) -> ItemTerms:
    said = {name: value for name, value in fields or () if value}
    title_name = next(iter(said), None)
    labels = {
        name: frozenset(terms_of(value).counts)
        for name, value in said.items()
        if name != title_name and value.count(" ") < _LABEL_WORDS
    }
    whole = terms_of(content)
    return ItemTerms(
        text=content,
        whole=whole,
        background=background(list(whole.counts)),
        multiplicities=1.0 + np.log(np.array(list(whole.counts.values()), np.float64)),
        words=frozenset([term for term in whole.counts if term.isalpha() and term not in _VALUES]),
        title=None if title_name is None else terms_of(said[title_name]),
        title_name=title_name,
        labels=labels,
    )


_recently_taken_apart = lru_cache(maxsize=_KEPT_ITEMS)(_taken_apart)
_recently_taken_apart_long = lru_cache(maxsize=_KEPT_LONG_ITEMS)(_taken_apart)


class Weighted(NamedTuple):
    """Terms with their weights.

    Attributes:
        counts: how often each occurs.
        rarity: scaled inverse document frequency of each term, in [0, 1].
        norm: Euclidean length of the tf-idf weights, rarity times 1 + ln(count).
        total: sum of ``rarity``.
    """

    counts: Mapping[str, int]
    rarity: Mapping[str, float]
    norm: float
    total: float


class Profile(NamedTuple):
    """An item in its collection.

    Attributes:
        said: what it says.
        price: the first positive number among the attributes whose name has ``price`` in it.
        timestamp: when the item came into being.
        whole: weights of all its terms.
        title: weights of the terms of its title.
        rare: its rare terms, those with a rarity above one half.
        ranked: all its terms, the rarest first.
    """

    said: ItemTerms
    price: float | None
    timestamp: datetime | None
    whole: Weighted
    title: Weighted | None
    rare: frozenset[str]
    ranked: tuple[str, ...]


def profile(item: Item, said: ItemTerms, statistics: TermStatistics) -> Profile:
    """Weigh what an item says (`item_terms`) by how rare it is in the collection."""
    terms = list(said.whole.counts)
    weights = rarities(statistics, terms, said.background)
    by_term = dict(zip(terms, weights.tolist(), strict=True))
    ranked = tuple([terms[place] for place in np.argsort(-weights, kind="stable").tolist()])
    title = None
    if said.title is not None:
        # A code can be cut differently where fields meet, so a term of the title may be missing from the whole.
        title = _weighted(said.title, {term: by_term.get(term, 1.0) for term in said.title.counts})
    return Profile(
        said=said,
        price=_price(item),
        timestamp=item.timestamp,
        whole=Weighted(
            counts=said.whole.counts,
            rarity=by_term,
            norm=sqrt(_square(weights * said.multiplicities)) or 1.0,
            total=float(weights.sum()) or 1.0,
        ),
        title=title,
        rare=frozenset(ranked[: int((weights > _RARE).sum())]),
        ranked=ranked,
    )


def _square(vector: Floats) -> float:
    return float(vector @ vector)


def _price(item: Item) -> float | None:
    for name, value in item.attributes.items():
        if "price" in name.lower() and isinstance(value, int | float) and value > 0:
            return float(value)
    return None


def _weighted(terms: Terms, weights: dict[str, float]) -> Weighted:
    squares = [
        weight * weight if count == 1 else (weight * multiplicity(count)) ** 2
        for weight, count in zip(weights.values(), terms.counts.values(), strict=True)
    ]
    return Weighted(terms.counts, weights, sqrt(sum(squares)) or 1.0, sum(weights.values()) or 1.0)


def multiplicity(count: int) -> float:
    """What a term that occurs so often weighs, compared with one that occurs once."""
    return 1.0 + log(count)
