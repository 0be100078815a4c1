"""Rules of a shop over the scores: boosts, freshness, and at most so many items of one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from recommender_engine.items.values import Attributes
from recommender_engine.pipeline.candidates.filtering import Filters
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.recommend.asked import Asked
from recommender_engine.recommend.behaviour.decay import DAY_MS
from recommender_engine.recommend.filters import parse
from recommender_engine.store import Member, SqliteStore

_AT_ONCE = 100

Ranked = tuple[float, Member]


class Boosts:
    """Factors of scores, by the boosts and the freshness of a request."""

    def __init__(self, store: SqliteStore, filters: Filters) -> None:
        self._store = store
        self._filters = filters

    def factors(self, asked: Asked, seqs: Sequence[int]) -> dict[int, float]:
        """The factor of each item for which it is not 1.

        Raises:
            InvalidCommand: the filter of a boost is wrong.
        """
        factors: dict[int, float] = {}
        for boost in asked.request.boosts:
            for seq in self._filters.survivors(asked.collection, parse(boost.filter)).among(seqs):
                factors[seq] = factors.get(seq, 1.0) * (1.0 + boost.weight)
        if asked.request.freshness is not None:
            weight, half_life_ms = asked.request.freshness.weight, asked.request.freshness.half_life_days * DAY_MS
            for seq, at_ms in self._store.items.arrival_times(seqs).items():
                fresh = 2.0 ** -(max(0, asked.now_ms - at_ms) / half_life_ms)
                factors[seq] = factors.get(seq, 1.0) * (1.0 + weight * fresh)
        return factors


class Quotas:
    """Leaves out what would be one too many of an attribute's value, by the items that are shown."""

    def __init__(self, store: SqliteStore, recommendations: Recommendations) -> None:
        self._store = store
        self._recommendations = recommendations

    def within(self, asked: Asked, first: Sequence[Ranked], ranked: Sequence[Ranked], count: int) -> list[Ranked]:
        """The best ``count`` of the ranked items that keep to ``at_most``.

        Args:
            asked: the request.
            first: what comes first and is counted; shown as it is.
            ranked: one of each group, best first; its group is shown by its canonical item.
            count: how many are wanted.
        """
        at_most = asked.request.at_most
        if not at_most:
            return list(ranked[:count])
        used: Counter[tuple[str, object]] = Counter()
        kept: list[Ranked] = []
        for row in self._store.items.by_seq([member.seq for _, member in first]).values():
            used.update(_values(row.item.attributes, at_most))
        for start in range(0, len(ranked), _AT_ONCE):
            part = ranked[start : start + _AT_ONCE]
            shown = self._shown(asked, [member for _, member in part])
            for score, member in part:
                values = _values(shown.get(member.group, {}), at_most)
                if any(used[value] >= at_most[value[0]] for value in values):
                    continue
                used.update(values)
                kept.append((score, member))
                if len(kept) == count:
                    return kept
        return kept

    def _shown(self, asked: Asked, members: Sequence[Member]) -> dict[str, Attributes]:
        """Attributes of the canonical items, by group."""
        groups = [member.group for member in members]
        ids = self._recommendations.canonical(asked.collection, groups, asked.survivors)
        canonical = self._store.items.named(asked.collection.id, ids.values())
        rows = self._store.items.by_seq([one.seq for one in canonical])
        return {one.group: rows[one.seq].item.attributes for one in canonical}


def _values(attributes: Mapping[str, object], at_most: Mapping[str, int]) -> list[tuple[str, object]]:
    """The values that are counted; each element of a list by itself, and true apart from 1."""
    found: list[tuple[str, object]] = []
    for name in at_most:
        value = attributes.get(name)
        elements = value if isinstance(value, list | tuple) else () if value is None else (value,)
        found += [(name, (isinstance(element, bool), element)) for element in dict.fromkeys(elements)]
    return found
