"""Items of users and sessions like this one, and the user's own."""

from __future__ import annotations

from operator import neg

import numpy as np

from recommender_engine.pipeline.recommend.asked import Asked
from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.sources.source import listed, normalised
from recommender_engine.recommend.behaviour.neighbours import Rings, from_neighbours
from recommender_engine.store import SqliteStore

_MOST_LISTED = 300


class OwnItems:
    """``own``: what the user used before, by how often. Only where known items are kept."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: Asked, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like or asked.profile is None or asked.request.known != "keep":
            return False
        counts = {num: float(one.count) for num, one in asked.profile.items.items() if not one.dismissed}
        pool.add("own", listed(self._store, asked, normalised(counts)))
        return False


class Neighbours:
    """``users`` and ``sessions``: what those like this one used."""

    def __init__(self, store: SqliteStore) -> None:
        self._rows = _Rows(store)
        self._store = store

    def find(self, asked: Asked, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like or asked.profile is None:
            return False
        sessions, users = from_neighbours(asked.profile, self._rows)
        for term, scores in (("users", users), ("sessions", sessions)):
            best = sorted(zip(map(neg, scores.values()), scores, strict=True))[:_MOST_LISTED]
            pool.add(term, listed(self._store, asked, normalised({num: -score for score, num in best})))
        return False


class _Rows:
    """The rows of ``from_neighbours``."""

    def __init__(self, store: SqliteStore) -> None:
        self._behaviour = store.behaviour
        self.session_items = store.behaviour.session_items
        self.profile_weights = store.behaviour.profile_weights

    def rings(self, nums: list[int]) -> Rings:
        """The rings of some items, put together."""
        found = self._behaviour.rings_of(nums)
        empty = np.empty(0, np.int64)
        rings = [(place, *found[num]) for place, num in enumerate(nums) if num in found]
        return Rings(
            np.concatenate([empty, *(np.full(len(sessions), place) for place, sessions, _ in rings)]),
            np.concatenate([empty, *(sessions for _, sessions, _ in rings)]),
            np.concatenate([empty, *(users for _, _, users in rings)]),
        )
