"""Sessions and users like this one, found in the rings of the items that it used last.

Sessions: VS-kNN (Ludewig & Jannach 2018) over recent sessions, as Serenade keeps them. Users: cosine of decayed weights
over the users of the same rings. Both cost what the rings hold, however many users there are.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recommend.behaviour.rows import Profile
from recommender_engine.recommend.behaviour.sums import largest, sums_by

RECENT_ITEMS = 30
"""So many of the items that a user used last are looked up."""

MOST_SESSIONS = 150
MOST_USERS = 100
_MOST_LISTED = 50  # items of a neighbour that count at most
MOST_FOUND = 300
"""So many items of either are found at most, those with the highest scores."""

Weights = dict[int, float]
"""Scores by number of the item, best first."""


class Rings(NamedTuple):
    """Who used some items of late: shape (n,) each, one place for each entry of a ring.

    Attributes:
        items: place of the item among those asked for.
        sessions: numbers of sessions.
        users: numbers of their users; 0 of a session that is not there.
    """

    items: NDArray[np.int64]
    sessions: NDArray[np.int64]
    users: NDArray[np.int64]


class ProfileWeights(NamedTuple):
    """What some users used, one after another: shape (n,) each, one place for each item of a user.

    Attributes:
        users: place of the user among those asked for.
        items: numbers of the items.
        weights: of the items, above 0.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float64]


class NeighbourRows(Protocol):
    """What is read of other users, without being changed."""

    def rings(self, nums: list[int]) -> Rings:
        """The rings of some items."""

    def session_items(self, sessions: list[int]) -> dict[int, NDArray[np.int64]]:
        """Numbers of the items of some sessions."""

    def profile_weights(self, users: list[int]) -> ProfileWeights:
        """Items and weights, of any base, of some users."""


def from_neighbours(profile: Profile, rows: NeighbourRows) -> tuple[Weights, Weights]:
    """Scores of items by sessions like the latest of a profile, and by users like it; of all items each sums to 1."""
    recent = [num for num, entry in profile.items.items() if not entry.dismissed][-RECENT_ITEMS:]
    if not recent:
        return {}, {}
    rings = rows.rings(recent)
    if not len(rings.items):
        return {}, {}
    # The later the item, the more it says; the more sessions there are with it, the less.
    shares = np.bincount(rings.items, minlength=len(recent))
    recency = np.arange(1, len(recent) + 1) / len(recent)
    says = recency / np.sqrt(1.0 + shares)
    return (
        _by_sessions(profile, rows, rings, says[rings.items]),
        _by_users(profile, rows, rings, says[rings.items]),
    )


def _by_sessions(profile: Profile, rows: NeighbourRows, rings: Rings, says: NDArray[np.float64]) -> Weights:
    others = rings.sessions != profile.session
    best = _heaviest(rings.sessions[others], says[others], MOST_SESSIONS)
    found = rows.session_items([session for session, _ in best])
    likenesses, listed = [], []
    for session, likeness in best:
        items = found.get(session)
        if items is not None and len(items):
            likenesses.append(likeness / sqrt(len(items)))
            listed.append(items[-_MOST_LISTED:])
    return _normalised(listed, np.repeat(likenesses, [len(items) for items in listed]))


def _by_users(profile: Profile, rows: NeighbourRows, rings: Rings, says: NDArray[np.float64]) -> Weights:
    others = (rings.users != profile.num) & (rings.users > 0)
    best = _heaviest(rings.users[others], says[others], MOST_USERS)
    users, nums, weights = rows.profile_weights([user for user, _ in best])
    mine = profile.liked()
    if not len(nums) or not mine:
        return {}
    weights = weights / np.sqrt(np.bincount(users, weights=weights * weights))[users]
    own = np.fromiter(sorted(mine), np.int64, len(mine))
    own_weights = np.array([mine[num] for num in own.tolist()])
    own_weights /= np.sqrt(own_weights @ own_weights)
    places = np.minimum(np.searchsorted(own, nums), len(own) - 1)
    shared = np.where(own[places] == nums, own_weights[places], 0.0)
    likeness = np.bincount(users, weights=weights * shared)
    return _normalised([nums], weights * likeness[users])


def _heaviest(keys: NDArray[np.int64], weights: NDArray[np.float64], most: int) -> list[tuple[int, float]]:
    """Keys with the largest sums of weights; of equal ones the later number."""
    if not len(keys):
        return []
    unique, sums = sums_by(keys, weights)
    order = largest(sums, -unique, most)
    return list(zip(unique[order].tolist(), sums[order].tolist(), strict=True))


def _normalised(nums: list[NDArray[np.int64]], scores: NDArray[np.float64]) -> Weights:
    """The largest sums of the scores by number, those above 0; all together are 1."""
    total = float(scores.sum()) if nums else 0.0
    if not total:
        return {}
    unique, sums = sums_by(np.concatenate(nums), scores)
    sums /= total
    order = largest(sums, unique, MOST_FOUND)
    order = order[sums[order] > 0.0]
    return dict(zip(unique[order].tolist(), sums[order].tolist(), strict=True))
