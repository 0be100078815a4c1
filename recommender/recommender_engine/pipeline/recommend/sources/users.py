"""Items of users and sessions like this one, and the user's own."""

from __future__ import annotations

import numpy as np

from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.pipeline.recommend.sources.source import listed, normalised
from recommender_engine.recommend.behaviour.neighbours import ProfileWeights, Rings, from_neighbours
from recommender_engine.store import SqliteStore

_NO_NUMBERS = np.empty(0, np.int64)


class OwnItems:
    """``own``: what the user used before, by how often. Only where known items are kept."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like or asked.profile is None or asked.request.known != "keep":
            return False
        counts = {num: float(one.count) for num, one in asked.profile.items.items() if not one.dismissed}
        pool.add("own", *listed(self._store, asked, normalised(counts)))
        return False


class Neighbours:
    """``users`` and ``sessions``: what those like this one used."""

    def __init__(self, store: SqliteStore) -> None:
        self._rows = _Rows(store)
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like or asked.profile is None:
            return False
        sessions, users = from_neighbours(asked.profile, self._rows)
        for term, scores in (("users", users), ("sessions", sessions)):
            pool.add(term, *listed(self._store, asked, normalised(scores)))
        return False


class _Rows:
    """The rows of ``from_neighbours``."""

    def __init__(self, store: SqliteStore) -> None:
        self._behaviour = store.behaviour
        self.session_items = store.behaviour.session_items

    def rings(self, nums: list[int]) -> Rings:
        """The rings of some items, put together."""
        found = self._behaviour.rings_of(nums)
        rings = [(place, found[num]) for place, num in enumerate(nums) if num in found]
        sessions = np.concatenate([_NO_NUMBERS, *(ring for _, ring in rings)])
        places = np.repeat(np.array([place for place, _ in rings], np.int64), [len(ring) for _, ring in rings])
        return Rings(places, sessions, self._behaviour.users_of(sessions))

    def profile_weights(self, users: list[int]) -> ProfileWeights:
        """What some users used, put together."""
        found = self._behaviour.profile_weights(users)
        theirs = [(place, *found[num]) for place, num in enumerate(users) if num in found]
        places = np.repeat(np.array([one[0] for one in theirs], np.int64), [len(one[1]) for one in theirs])
        return ProfileWeights(
            places,
            np.concatenate([_NO_NUMBERS, *(items for _, items, _ in theirs)]),
            np.concatenate([np.empty(0), *(weights for _, _, weights in theirs)]),
        )
