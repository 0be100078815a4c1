"""Asks a method for recommendations, lets it see nothing but the past, and compares with the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.evaluation.recommendations.figures import LIMIT, ItemFigures, Lists, UserFigures
from recommender_engine.evaluation.recommendations.history import History, Past
from recommender_engine.evaluation.recommendations.truth import Truth
from recommender_engine.items import Item


class ItemMethod(Protocol):
    """A way to recommend for an item. Items are numbers."""

    def for_item(self, past: Past, item: int) -> Sequence[int]:
        """At most ten items for an item, the best first, without itself."""


class Method(ItemMethod, Protocol):
    """A way to recommend. Pasts come in the order of their sizes."""

    def for_user(self, past: Past, user: int, *, known: bool) -> Sequence[int]:
        """At most ten items for a user; ``known``: also those that the user has used before."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items.

    Attributes:
        items: in the order of their numbers.
        vectors: of their texts, shape (items, dimension), rows of unit length.
    """

    items: Sequence[Item]
    vectors: Vectors


def judge_items(
    method: ItemMethod,
    history: History,
    truth: Truth,
    catalogue: Catalogue,
    done: Callable[[int], None] = lambda count: None,
) -> ItemFigures:
    """Recommendations for items against their partners in the truth period; only what was before the split is known.

    ``done`` is called after each query with the number of queries since the last call.
    """
    past = history.before_split()
    lists = Lists(int(truth.candidates.sum()), catalogue.vectors, novelty(history))
    for item, relevant in truth.partners.items():
        lists.add(method.for_item(past, item), relevant)
        done(1)
    warm = truth.warm[list(truth.partners)] if truth.partners else np.zeros(0, np.bool_)
    return ItemFigures(**lists.list_figures().model_dump(), warm=lists.figures(warm), cold=lists.figures(~warm))


def judge_users(
    method: Method,
    history: History,
    truth: Truth,
    catalogue: Catalogue,
    done: Callable[[int], None] = lambda count: None,
) -> UserFigures:
    """Recommendations for users against their next baskets, prequential: each is predicted from all before it."""
    everything, new = (Lists(int(truth.candidates.sum()), catalogue.vectors, novelty(history)) for _ in range(2))
    for query in truth.baskets:
        past = history.before(query.place)
        everything.add(method.for_user(past, query.user, known=True), query.items)
        if len(query.new):
            new.add(method.for_user(past, query.user, known=False), query.new)
        done(1)
    return UserFigures(all=everything.list_figures(), new=new.list_figures())


def novelty(history: History) -> NDArray[np.float64]:
    """-log2 of the share of the baskets before the split that have an item, in bits; shape (items,)."""
    past = history.before_split()
    baskets = len(np.unique(past.baskets))
    uses = np.bincount(past.items, minlength=len(history.items))
    bits: NDArray[np.float64] = -np.log2((uses + 1.0) / (baskets + 1.0))
    return bits


__all__ = ["LIMIT", "Catalogue", "ItemMethod", "Method", "judge_items", "judge_users", "novelty"]
