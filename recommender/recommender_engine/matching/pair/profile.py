"""One item as the input of features: its terms, and their weights in its collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate, pairwise
from math import log, sqrt
from sys import getsizeof
from threading import Lock
from typing import NamedTuple, Protocol
from weakref import WeakSet

import numpy as np

from recommender_engine.items import Item, WordLists
from recommender_engine.items.prices import is_price
from recommender_engine.matching.pair.references import referred
from recommender_engine.matching.pair.statistics import TermStatistics, background, rarities
from recommender_engine.matching.text.lexicon import Lexicon, lexicon
from recommender_engine.matching.text.reading import MOST_CHARACTERS, Reading, read
from recommender_engine.matching.text.terms import Terms, terms_of
from recommender_engine.matching.text.vocabulary import COLOURS, FUNCTION_WORDS, NUMBER_WORDS
from recommender_engine.matching.trees import Floats
from recommender_engine.recent import Recent

# A field of at most this many words is a label (a brand, a category).
_LABEL_WORDS = 4
RARE = 0.5
# In running text every second or third word is a function word; in names and lists of properties hardly any. Logs have
# few as well, but no name has a hundred words.
_RUNNING_SHARE, _RUNNING_LEAST, _RUNNING_WORDS = 6, 3, 100
# Estimated memory of an analysed item, with text and terms: ten to thirty times its text.
_ITEM_BYTES, _TERM_BYTES, _TEXT_COPIES = 2000, 480, 3  # bytes
_Fields = tuple[tuple[str, str], ...]

CACHE_BYTES = 96 * 2**20
"""Limit of the cached terms of recent items in a process: some 20,000 short ones."""

_PARTS = re.compile(r"\d+|\D+")
_VALUES = frozenset(COLOURS) | frozenset(NUMBER_WORDS)


@dataclass(frozen=True)
class ItemTerms:
    """The terms of an item; they depend only on the text and the fields.

    Attributes:
        text: the text, or all fields.
        whole: terms of the text.
        distinct: the terms of the whole, each once, in reading order.
        background: of ``distinct``, see `statistics.background`; shape (terms,).
        multiplicities: of ``distinct``, see `multiplicity`; shape (terms,).
        index_of: index of a term in ``distinct``.
        words: the terms of letters only that are neither a colour nor a number.
        title: terms of the first of several named fields.
        title_name: name of that field.
        labels: the other short fields, by name, as sets of terms.
        plain: whether there are only words to compare: no identifier, number, colour or size, and no title.
        length: number of words, numbers and codes in the text.
        running: whether it is running text, by its function words, or too long for a name.
    """

    text: str
    whole: Terms
    distinct: tuple[str, ...]
    background: Floats
    multiplicities: Floats
    index_of: Mapping[str, int]
    words: frozenset[str]
    title: Terms | None
    title_name: str | None
    labels: Mapping[str, frozenset[str]]
    plain: bool
    length: int
    running: bool

    @cached_property
    def referred(self) -> frozenset[str]:
        """Codes that only refer to another record, see `references.referred`; computed on first use."""
        return referred(self.whole.folded)

    @cached_property
    def reading(self) -> Reading | None:
        """The text read word by word with the shipped words, computed on first use; ``None`` for a long one."""
        return self._read(lexicon())

    def read_by(self, words: Lexicon) -> Reading | None:
        """The text read word by word with the words of a collection; ``None`` for a long one."""
        if words is lexicon():
            return self.reading
        kept: tuple[Lexicon, Reading | None] | None = vars(self).get("_own_reading")
        if kept is None or kept[0] is not words:
            kept = vars(self)["_own_reading"] = words, self._read(words)
        return kept[1]

    def _read(self, words: Lexicon) -> Reading | None:
        return read(self.whole.folded, words) if len(self.whole.folded) <= MOST_CHARACTERS else None


def item_terms(item: Item) -> ItemTerms:
    """The terms of an item; of a long text, those of the beginning, see `terms_of`."""
    fields = None if item.fields is None else tuple(item.fields.items())
    # Cached: the terms of an item are needed when it arrives, for counting, and again whenever it is a candidate.
    key = item.content, fields
    found = _recent_terms.get(key)
    if found is None:
        found = _analysed(*key)
        with _lock:
            _recent_terms.put(key, found)
    return found


def _analysed(content: str, fields: _Fields | None) -> ItemTerms:
    filled = {name: value for name, value in fields or () if value}
    title_name = next(iter(filled), None)
    labels = {
        name: frozenset(terms_of(value).counts)
        for name, value in filled.items()
        if name != title_name and value.count(" ") < _LABEL_WORDS
    }
    whole = terms_of(content)
    terms = tuple(whole.counts)
    length = sum(whole.counts.values())
    function_words = sum([whole.counts[term] for term in FUNCTION_WORDS.intersection(terms)])
    return ItemTerms(
        text=content,
        whole=whole,
        distinct=terms,
        background=background(terms),
        multiplicities=1.0 + np.log(np.array(list(whole.counts.values()), np.float64)),
        index_of={term: index for index, term in enumerate(terms)},
        words=frozenset([term for term in whole.counts if term.isalpha() and term not in _VALUES]),
        title=None if title_name is None else terms_of(filled[title_name]),
        title_name=title_name,
        labels=labels,
        plain=title_name is None and not _states_values(whole),
        length=length,
        running=length > _RUNNING_WORDS or function_words >= max(_RUNNING_LEAST, length / _RUNNING_SHARE),
    )


def _states_values(terms: Terms) -> bool:
    return bool(terms.identifiers or terms.numbers or terms.colours or terms.measures or terms.dimensions)


def _bytes_of(key: tuple[str, _Fields | None], terms: ItemTerms) -> int:
    """Estimated bytes of an analysed item."""
    return _ITEM_BYTES + _TERM_BYTES * len(terms.distinct) + _TEXT_COPIES * getsizeof(key[0])


class TextCache(Protocol):
    """A cache that holds texts or data derived from them."""

    def forget(self) -> None:
        """Clear the cache; called from any thread."""


# The terms of an item are the same for every engine of a process, so one cache serves them all, in any thread.
_recent_terms: Recent[tuple[str, _Fields | None], ItemTerms] = Recent(CACHE_BYTES, _bytes_of)
_caches: WeakSet[TextCache] = WeakSet()
_lock = Lock()


def cached_bytes() -> int:
    """Estimated bytes of the cached terms."""
    return _recent_terms.weight


def clear_with_texts(cache: TextCache) -> None:
    """Register a cache to be cleared whenever texts are erased; holds a weak reference."""
    _caches.add(cache)


def forget_texts() -> None:
    """Clear the caches of terms and judged pairs after texts were erased."""
    with _lock:
        _recent_terms.clear()
        caches = list(_caches)
    for cache in caches:
        cache.forget()


class Weighted(NamedTuple):
    """Terms with their weights.

    Attributes:
        counts: occurrences of each term.
        rarity: scaled inverse document frequency of each term, in [0, 1].
        norm: Euclidean length of the tf-idf weights, rarity times 1 + ln(count).
        total: sum of ``rarity``.
    """

    counts: Mapping[str, int]
    rarity: Mapping[str, float]
    norm: float
    total: float


class TermWeights(NamedTuple):
    """The tf-idf weights of an item's terms.

    Attributes:
        each: rarity of `ItemTerms.distinct`, scaled inverse document frequency in [0, 1]; shape (terms,).
        norm: Euclidean length of rarity times `multiplicity`.
        total: sum of the rarity.
        rare: number of terms with a rarity above one half.
    """

    each: Floats
    norm: float
    total: float
    rare: int


class Profile:
    """An item in its collection.

    Attributes:
        terms: its terms.
        price: the first positive number among the attributes whose names are those of prices.
        timestamp: time of the item's creation.
        weights: rarity of `ItemTerms.distinct`, scaled inverse document frequency in [0, 1]; shape (terms,).
        norm: Euclidean length of the tf-idf weights, rarity times `multiplicity`.
        total: sum of the rarity.
        rare: number of its terms with a rarity above one half.
        words: word lists of the collection.
    """

    weights: Floats
    norm: float
    total: float
    rare: int

    def __init__(self, item: Item, terms: ItemTerms, weights: TermWeights, words: Lexicon) -> None:
        self.terms = terms
        self.words = words
        self.price = _price(item)
        self.timestamp: datetime | None = item.timestamp
        _weigh(self, weights)

    @property
    def reading(self) -> Reading | None:
        """Its text read word by word; ``None`` for a long one."""
        return self.terms.read_by(self.words)

    @cached_property
    def whole(self) -> Weighted:
        """Weights of all its terms."""
        rarity = dict(zip(self.terms.distinct, self.weights.tolist(), strict=True))
        return Weighted(self.terms.whole.counts, rarity, self.norm, self.total)

    def rarity(self, term: str, default: float = 0.0) -> float:
        """Rarity of one term; ``default`` if the item lacks it."""
        index = self.terms.index_of.get(term)
        return default if index is None else float(self.weights[index])

    @cached_property
    def title(self) -> Weighted | None:
        """Weights of the terms of its title."""
        title = self.terms.title
        if title is None:
            return None
        # A code can be split differently at the end of a field, so a term of the title may be missing from the whole.
        return _weighted(title, {term: self.rarity(term, 1.0) for term in title.counts})

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """All its terms, the rarest first."""
        terms = self.terms.distinct
        return tuple([terms[index] for index in np.argsort(-self.weights, kind="stable").tolist()])

    @property
    def rare_terms(self) -> frozenset[str]:
        """Its rare terms."""
        return frozenset(self.ranked[: self.rare])

    def without(self, codes: AbstractSet[str]) -> Profile:
        """The item with these codes, and their letters and digits, at weight 0."""
        dropped = codes | {part for code in codes for part in _PARTS.findall(code)}
        weights = np.where([term in dropped for term in self.terms.distinct], 0.0, self.weights)
        found = copy(self)
        for name in ("whole", "title", "ranked"):
            found.__dict__.pop(name, None)
        norm = sqrt(float(((weights * self.terms.multiplicities) ** 2).sum()))
        _weigh(found, TermWeights(weights, norm, float(weights.sum()), int((weights > RARE).sum())))
        return found


def _weigh(one: Profile, weights: TermWeights) -> None:
    one.weights = weights.each
    one.norm = weights.norm or 1.0
    one.total = weights.total or 1.0
    one.rare = weights.rare


def profile(item: Item, terms: ItemTerms, statistics: TermStatistics) -> Profile:
    """Weigh the terms of an item (`item_terms`) by rarity in the collection."""
    return profiles([item], [terms], statistics)[0]


def profiles(
    items: Sequence[Item], terms: Sequence[ItemTerms], statistics: TermStatistics, words: tuple[WordLists, ...] = ()
) -> list[Profile]:
    """Weigh the terms of several items. A profile does not depend on the other items.

    Args:
        items: at least one.
        terms: terms of each item, see `item_terms`.
        statistics: of their collection.
        words: of their collection, in addition to the shipped ones.
    """
    known = lexicon(words)
    frequencies = np.concatenate([statistics.frequencies(one.distinct) for one in terms])
    lengths = [len(one.distinct) for one in terms]
    weights = rarities(frequencies, np.concatenate([one.background for one in terms]), statistics.documents)
    squares = (weights * np.concatenate([one.multiplicities for one in terms])) ** 2
    of = np.repeat(np.arange(len(terms)), lengths)
    norms, totals, rare = (
        np.bincount(of, figures, len(terms)).tolist() for figures in (squares, weights, weights > RARE)
    )
    parts = [weights[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
    return [
        Profile(item, one, TermWeights(part, sqrt(square), total, int(count)), known)
        for item, one, part, square, total, count in zip(items, terms, parts, norms, totals, rare, strict=True)
    ]


def _price(item: Item) -> float | None:
    for name, value in item.attributes.items():
        if isinstance(value, int | float) and value > 0 and is_price(name):
            return float(value)
    return None


def _weighted(terms: Terms, weights: dict[str, float]) -> Weighted:
    squares = [
        weight * weight if count == 1 else (weight * multiplicity(count)) ** 2
        for weight, count in zip(weights.values(), terms.counts.values(), strict=True)
    ]
    return Weighted(terms.counts, weights, sqrt(sum(squares)) or 1.0, sum(weights.values()) or 1.0)


def multiplicity(count: int) -> float:
    """Weight of a term that occurs ``count`` times, relative to one that occurs once."""
    return 1.0 + log(count)
