"""Items that are used together with the examples, or with what the user used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.pipeline.recommend.sources.source import passing
from recommender_engine.recommend.behaviour.together import PartnerList, heaviest, together
from recommender_engine.store import SqliteStore, UsedItem

_NEAREST_TEXTS = 20
_LATEST = 60  # items of a profile whose partners are looked at
_BRIDGE_POWER = 4


class UsedTogether:
    """``together``: partners of the examples, or of the user's latest items."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``."""
        if asked.like:
            used = [one.used for one in asked.like if one.used is not None]
            total = sum(one.weight for one in asked.like)
            shares = [one.weight / total for one in asked.like if one.used is not None]
        elif asked.profile is not None:
            latest = [num for num, entry in asked.profile.items.items() if not entry.dismissed][-_LATEST:]
            used = [asked.used[num] for num in latest if num in asked.used]
            shares = [1.0] * len(used)
        else:
            return False
        _add(self._store, asked, pool, "together", zip(used, shares, strict=True), because=used if asked.like else ())
        return False


class Bridge:
    """``bridge``: partners of the items whose texts are nearest to the examples; for examples of little use."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """See ``Source``. The nearest texts are those in the pool: under a filter, of items that pass."""
        if not asked.like or not self._store.behaviour.any_in(asked.collection.id):
            return False
        texts = pool.terms.get("text", {})
        nearest = sorted(texts, key=lambda seq: (-texts[seq], seq))[:_NEAREST_TEXTS]
        ids = {pool.members[seq].id: texts[seq] ** _BRIDGE_POWER for seq in nearest}
        total = sum(ids.values())
        used = self._store.behaviour.named(asked.collection.id, ids)
        if total > 0.0:
            _add(self._store, asked, pool, "bridge", ((one, ids[one.id] / total) for one in used.values()))
        return False


def _add(
    store: SqliteStore,
    asked: ResolvedRequest,
    pool: Pool,
    term: str,
    used: Iterable[tuple[UsedItem, float]],
    because: Sequence[UsedItem] = (),
) -> None:
    shares = {one.num: (one, share) for one, share in used}
    rows = store.behaviour.partners(shares)
    lists = [PartnerList(shares[num][1], shares[num][0].total, *row) for num, row in sorted(rows.items())]
    weights = heaviest(lists, asked.now_ms)
    partners = store.behaviour.used_items(weights)
    scores = together(weights, {num: one.total for num, one in partners.items()}, asked.now_ms)
    ids = {partners[num].id: score for num, score in scores.items()}
    members = passing(asked, store.items.named(asked.collection.id, ids))
    reasons = dict.fromkeys((one.seq for one in members), because[0].id) if len(because) == 1 else None
    pool.add(term, members, [ids[member.id] for member in members], reasons)
