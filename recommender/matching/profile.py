"""One item as the features read it: its terms, and how much each of them weighs in its collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import log, sqrt

from recommender.items import Item
from recommender.matching.statistics import TermStatistics, rarity
from recommender.matching.terms import Terms, terms_of
from recommender.matching.vocabulary import COLOURS, NUMBER_WORDS

# A field of so few words names something (a brand, a category) and is compared as a label.
_LABEL_WORDS = 4
_RARE = 0.5
_VALUES = frozenset(COLOURS) | frozenset(NUMBER_WORDS)


@dataclass(frozen=True, slots=True)
class ItemTerms:
    """What an item says, taken apart; depends on nothing but the text and the fields.

    Attributes:
        text: the text, or all fields.
        whole: its terms.
        words: those that are the wording: of letters only, and neither a colour nor a number.
        title: those of the first of several named fields.
        title_name: the name of that field.
        labels: the other short fields, by name, as sets of terms.
    """

    text: str
    whole: Terms
    words: frozenset[str]
    title: Terms | None
    title_name: str | None
    labels: Mapping[str, frozenset[str]]


def item_terms(item: Item) -> ItemTerms:
    """Take an item apart."""
    said = {name: value for name, value in (item.fields or {}).items() if value}
    title_name = next(iter(said), None)
    labels = {
        name: frozenset(terms_of(value).counts)
        for name, value in said.items()
        if name != title_name and value.count(" ") < _LABEL_WORDS
    }
    whole = terms_of(item.content)
    return ItemTerms(
        text=item.content,
        whole=whole,
        words=frozenset([term for term in whole.counts if term.isalpha() and term not in _VALUES]),
        title=None if title_name is None else terms_of(said[title_name]),
        title_name=title_name,
        labels=labels,
    )


@dataclass(frozen=True, slots=True)
class Weighted:
    """Terms with their weights.

    Attributes:
        rarity: scaled inverse document frequency of each term, in [0, 1].
        tfidf: the same times 1 + ln(count).
        norm: Euclidean length of ``tfidf``.
        total: sum of ``rarity``.
    """

    rarity: Mapping[str, float]
    tfidf: Mapping[str, float]
    norm: float
    total: float


@dataclass(frozen=True, slots=True)
class Profile:
    """An item in its collection.

    Attributes:
        said: what it says.
        price: the first positive number among the attributes whose name has ``price`` in it.
        timestamp: when the item came into being.
        whole: weights of all its terms.
        title: weights of the terms of its title.
        rare: its rare terms, those with a rarity above one half.
    """

    said: ItemTerms
    price: float | None
    timestamp: datetime | None
    whole: Weighted
    title: Weighted | None
    rare: frozenset[str]


def profile(item: Item, said: ItemTerms, statistics: TermStatistics) -> Profile:
    """Weigh what an item says (`item_terms`) by how rare it is in the collection."""
    weights = rarity(statistics, said.whole.counts)
    title = None
    if said.title is not None:
        # A code can be cut differently where fields meet, so a term of the title may be missing from the whole.
        title = _weighted(said.title, {term: weights.get(term, 1.0) for term in said.title.counts})
    return Profile(
        said=said,
        price=_price(item),
        timestamp=item.timestamp,
        whole=_weighted(said.whole, weights),
        title=title,
        rare=frozenset([term for term, weight in weights.items() if weight > _RARE]),
    )


def _price(item: Item) -> float | None:
    for name, value in item.attributes.items():
        if "price" in name.lower() and isinstance(value, int | float) and value > 0:
            return float(value)
    return None


def _weighted(terms: Terms, weights: dict[str, float]) -> Weighted:
    tfidf = {
        term: weights[term] if count == 1 else weights[term] * (1.0 + log(count))
        for term, count in terms.counts.items()
    }
    norm = sqrt(sum([weight * weight for weight in tfidf.values()]))
    return Weighted(weights, tfidf, norm or 1.0, sum(weights.values()) or 1.0)
