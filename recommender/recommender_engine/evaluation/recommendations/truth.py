"""What recommendations are judged by: items that were used together, and baskets of users, after the split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender_engine.evaluation.recommendations.history import History, Places

RELEVANT = 10
"""So many partners of an item are relevant at most."""

LEAST_RELEVANT = 5
"""An item with fewer relevant partners is not asked for."""


@dataclass(frozen=True, slots=True)
class BasketQuery:
    """A basket that is to be predicted.

    Attributes:
        place: of its first interaction; everything before it may be known.
        user: number of the user.
        items: all items of the basket.
        new: those that the user never used before.
    """

    place: int
    user: int
    items: Places
    new: Places


@dataclass(frozen=True, slots=True)
class Truth:
    """What recommendations are judged by.

    Attributes:
        candidates: which items may be recommended: those that are used before the end; shape (items,).
        partners: relevant items of each item that is asked for, the best first.
        warm: which items are used before the split, shape (items,).
        baskets: in the order of time.
    """

    candidates: NDArray[np.bool_]
    partners: dict[int, Places]
    warm: NDArray[np.bool_]
    baskets: list[BasketQuery]


def truth_of(history: History, *, min_joint: int = 8, user_share: float = 1.0) -> Truth:
    """The truth of a history.

    Relevant for an item are the ten partners with the highest n_ab / sqrt(n_a n_b) over the baskets of the truth
    period, of those that are together with it in at least ``min_joint`` of them; an item with fewer than five is not
    asked for. Of users, every basket of the truth period is predicted, but for a user's first one.

    Args:
        history: with the split.
        min_joint: in so many baskets two items are together at least.
        user_share: share of the users that are asked for, in (0, 1], chosen by a hash of their ids.
    """
    count = len(history.items)
    candidates = np.bincount(history.item_of, minlength=count) > 0
    warm = np.bincount(history.before_split().items, minlength=count) > 0
    return Truth(candidates, _partners(history, min_joint), warm, _baskets(history, user_share))


def _partners(history: History, min_joint: int) -> dict[int, Places]:
    after = history.places >= history.known
    baskets, items = history.basket_of[after], history.item_of[after]
    shape = (history.baskets, len(history.items))
    used = sparse.csr_matrix((np.ones(len(items)), (baskets, items)), shape=shape)
    joint = (used.T @ used).tocsr()
    uses = joint.diagonal()
    found: dict[int, Places] = {}
    for item in np.flatnonzero(uses >= min_joint).tolist():
        row = slice(joint.indptr[item], joint.indptr[item + 1])
        others, together = joint.indices[row].astype(np.int64), joint.data[row]
        often = (together >= min_joint) & (others != item)
        others, together = others[often], together[often]
        if len(others) >= LEAST_RELEVANT:
            cosine = together / np.sqrt(uses[item] * uses[others])
            found[item] = others[np.lexsort((others, -cosine))[:RELEVANT]]
    return found


def _baskets(history: History, user_share: float) -> list[BasketQuery]:
    _, first = np.unique(history.basket_of, return_index=True)
    begins = np.zeros(len(history.places), np.bool_)
    begins[first] = True
    members: dict[int, list[int]] = {}
    for basket, item in zip(history.basket_of.tolist(), history.item_of.tolist(), strict=True):
        members.setdefault(basket, []).append(item)
    asked = [_share_of(user) < user_share for user in history.users]
    used: dict[int, set[int]] = {}
    queries = []
    columns = (history.places, history.basket_of, history.item_of, history.user_of)
    for beginning, place, basket, item, user in zip(begins, *(one.tolist() for one in columns), strict=True):
        if user < 0:
            continue
        known = used.setdefault(user, set())
        if beginning and known and place >= history.known and asked[user]:
            items = np.array(members[basket], np.int64)
            new = np.array([one for one in members[basket] if one not in known], np.int64)
            queries.append(BasketQuery(place, user, items, new))
        known.add(item)
    return queries


def _share_of(user: str) -> float:
    """A number in [0, 1) from an id."""
    return int.from_bytes(hashlib.sha256(user.encode(errors="surrogatepass")).digest()[:8]) / 2**64
