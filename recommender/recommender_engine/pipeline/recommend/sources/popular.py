"""Items that everybody uses now, and the newest: for users of whom nothing is known, and to fill a list."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest

from recommender_engine.pipeline.candidates.filtering import Survivors
from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.pipeline.recommend.sources.source import passing
from recommender_engine.recommend.behaviour.decay import POPULAR_HALF_LIFE_MS, TRENDING_HALF_LIFE_MS
from recommender_engine.recommend.behaviour.together import current
from recommender_engine.store import Member, SqliteStore

POPULAR_FROM = 6.0
"""Weight of the interactions from which an item is popular: two purchases or six views, by the default weights."""

_AT_ONCE = 200
_MOST_LOOKED_AT = 5000
_MOST_PASS = 5000  # of more, the most popular of all are looked through


class Popular:
    """``popular``: what is used most, halved in a week. ``trending``: the same, halved in a day.

    1 is the weight of the item that is used most, or ``POPULAR_FROM`` where that is more: an item that is hardly used
    now is not popular.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like:
            return False
        if asked.survivors is not None and len(asked.survivors) <= _MOST_PASS:
            self._add_survivors(asked, pool, asked.survivors, count)
            return False
        self._add(asked, pool, "popular", POPULAR_HALF_LIFE_MS, count)
        self._add(asked, pool, "trending", TRENDING_HALF_LIFE_MS, count)
        return False

    def _add_survivors(self, asked: ResolvedRequest, pool: Pool, survivors: Survivors, count: int) -> None:
        """Of few items that pass, those used most."""
        used = list(self._store.behaviour.named(asked.collection.id, survivors.ids(self._store)).values())
        for column, half_life_ms in (("popular", POPULAR_HALF_LIFE_MS), ("trending", TRENDING_HALF_LIFE_MS)):
            first = self._store.behaviour.most(asked.collection.id, column, 1)
            best = current(getattr(first[0], column), asked.now_ms, half_life_ms) if first else 0.0
            if best:
                most = nsmallest(count, ((-getattr(one, column), one) for one in used))
                weights = {one.id: current(-level, asked.now_ms, half_life_ms) for level, one in most}
                _add_weights(pool, column, self._store.items.named(asked.collection.id, weights), weights, best)

    def _add(self, asked: ResolvedRequest, pool: Pool, column: str, half_life_ms: int, count: int) -> None:
        best, found, looked_at = 0.0, 0, 0
        while found < count and looked_at < _MOST_LOOKED_AT:
            used = self._store.behaviour.most(asked.collection.id, column, _AT_ONCE, looked_at)
            looked_at += _AT_ONCE
            levels = {one.id: one.popular if column == "popular" else one.trending for one in used}
            weights = {id_: current(level, asked.now_ms, half_life_ms) for id_, level in levels.items()}
            best = best or max(weights.values(), default=0.0)
            if not best:
                return
            members = passing(asked, self._store.items.named(asked.collection.id, weights))
            _add_weights(pool, column, members, weights, best)
            found += len(members)
            if len(used) < _AT_ONCE:
                return


def _add_weights(pool: Pool, column: str, members: list[Member], weights: Mapping[str, float], best: float) -> None:
    popular = {member.seq: member.id for member in members if weights[member.id] >= POPULAR_FROM}
    most = max(best, POPULAR_FROM)
    pool.add(column, members, [weights[member.id] / most for member in members], popular)


class Newest:
    """``newest``: the latest arrivals; with them a list is never shorter than what there is."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like:
            return False
        if asked.among is not None:
            latest = self._store.items.by_number(asked.among.seqs[-count:].tolist())[::-1]
            more = len(asked.among) > count
        else:
            latest = self._store.items.latest(asked.collection.id, count, asked.collection.hidden_ms)
            more = len(latest) == count
        pool.add("newest", latest, [1.0 - place / (len(latest) + 1) for place in range(len(latest))])
        return more
