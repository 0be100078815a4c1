"""Items whose texts are like those of the examples, or like one of the user's interests."""

from __future__ import annotations

import numpy as np

from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.store import Member, SqliteStore

INTEREST = 0.55
"""Items of a profile belong to one interest from this cosine on."""

MOST_INTERESTS = 5
_LATEST = 30  # items of a profile that are looked at
_OF_EACH = 50


class TextNeighbours:
    """``text``: the nearest of each example."""

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        more = False
        if asked.like:
            floor = asked.collection.settings.similar_from
            for example, near in zip(
                asked.like, asked.nearby.nearest([one.vector for one in asked.like], count), strict=True
            ):
                close = {point: cosine for point, cosine in near.items() if cosine >= floor}
                more |= len(close) >= count and count < asked.nearby.most
                members = asked.nearby.members(close)
                because = {} if example.id is None else dict.fromkeys((one.seq for one in members), example.id)
                pool.add("text", members, [close[member.point] for member in members], because)
        return more


class Interests:
    """``interests``: the nearest of each interest of a user: several, not one mean."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like or asked.profile is None or asked.collection.dimension is None:
            return False
        liked = [num for num, entry in asked.profile.items.items() if not entry.dismissed and num in asked.used]
        ids = [asked.used[num].id for num in liked[-_LATEST:]]
        leaders = self._leaders(asked, ids)
        if not leaders:
            return False
        floor = asked.collection.settings.similar_from
        found = asked.nearby.nearest([vector for _, vector in leaders], _OF_EACH)
        for (leader, _), near in zip(leaders, found, strict=True):
            close = {point: cosine for point, cosine in near.items() if cosine >= floor}
            members = asked.nearby.members(close)
            because = dict.fromkeys((one.seq for one in members), leader.id)
            pool.add("interests", members, [close[member.point] for member in members], because)
        return False

    def _leaders(self, asked: ResolvedRequest, ids: list[str]) -> list[tuple[Member, Vector]]:
        """The latest item of each interest (leader clustering), the interest with most items first."""
        members = {one.id: one for one in self._store.items.named(asked.collection.id, ids)}
        rows = self._store.items.vector_rows([one.seq for one in members.values()])
        vectors = self._store.vectors.several(set(rows.values()))
        leaders: list[tuple[Member, Vector]] = []
        sizes: list[int] = []
        for id_ in reversed([id_ for id_ in ids if id_ in members]):
            vector = vectors[rows[members[id_].seq]]
            likeness = [float(vector @ other) for _, other in leaders]
            place = int(np.argmax(likeness)) if likeness else -1
            if place >= 0 and likeness[place] >= INTEREST:
                sizes[place] += 1
            else:
                leaders.append((members[id_], vector))
                sizes.append(1)
        order = sorted(range(len(leaders)), key=lambda place: (-sizes[place], place))
        return [leaders[place] for place in order[:MOST_INTERESTS]]
