"""The items that are shown: of each group the canonical one, of those that pass the filter."""

from __future__ import annotations

from collections.abc import Iterable

from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.store import Member, SqliteStore, StoredItem


class CanonicalItems:
    """Finds them; what was found for one list is kept in its pool."""

    def __init__(self, store: SqliteStore, recommendations: Recommendations) -> None:
        self._store = store
        self._recommendations = recommendations

    def members(self, asked: ResolvedRequest, pool: Pool, groups: Iterable[str]) -> dict[str, Member]:
        """The canonical item of each group that has one."""
        groups = list(groups)
        missing = [group for group in groups if group not in pool.canonical]
        if missing:
            ids = self._recommendations.canonical(asked.collection, missing, asked.survivors)
            found = self._store.items.named(asked.collection.id, ids.values())
            pool.canonical.update((one.group, one) for one in found)
        return {group: pool.canonical[group] for group in groups if group in pool.canonical}

    def items(self, asked: ResolvedRequest, pool: Pool, groups: Iterable[str]) -> dict[str, StoredItem]:
        """The same as they are stored, with texts and attributes."""
        members = self.members(asked, pool, groups)
        rows = self._store.items.by_seq([one.seq for one in members.values()])
        return {group: rows[one.seq] for group, one in members.items()}
