"""Rules of a shop over the scores: boosts, freshness, at most so many items of one value, one of all variants."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from recommender_engine.items import Item, WordLists
from recommender_engine.matching import Family, family_of
from recommender_engine.pipeline.candidates.filtering import Filters
from recommender_engine.pipeline.candidates.nearby import PassingItems
from recommender_engine.pipeline.recommend.canonical import CanonicalItems
from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.recommend.behaviour.decay import DAY_MS
from recommender_engine.recommend.filters import Expression, parse
from recommender_engine.recommend.filters.expression import Equals, Every, Not
from recommender_engine.recommend.filters.typed import Part, equal_to
from recommender_engine.store import Member, SqliteStore

MOST_READ_FOR_VARIANTS = 2_000
"""So many of the best are read at most where one of all variants is listed: each takes about 0.1 ms."""

_AT_ONCE = 100

Ranked = tuple[float, Member]


class Boosts:
    """Factors of scores, by the boosts and the freshness of a request: those of the item that is shown of a group."""

    def __init__(self, store: SqliteStore, canonical: CanonicalItems, filters: Filters) -> None:
        self._store = store
        self._canonical = canonical
        self._filters = filters

    def factors(self, asked: ResolvedRequest, pool: Pool, groups: Iterable[str]) -> dict[str, float]:
        """The factor of each group for which it is not 1.

        Raises:
            InvalidCommand: the filter of a boost is wrong.
        """
        request = asked.request
        if not request.boosts and request.freshness is None:
            return {}
        shown = {member.seq: group for group, member in self._canonical.members(asked, pool, groups).items()}
        factors: dict[str, float] = {}
        for boost in request.boosts:
            for seq in self._filters.survivors(asked.collection, parse(boost.filter)).among(list(shown)):
                factors[shown[seq]] = factors.get(shown[seq], 1.0) * (1.0 + boost.weight)
        if request.freshness is not None:
            weight, half_life_ms = request.freshness.weight, request.freshness.half_life_days * DAY_MS
            for seq, at_ms in self._store.items.arrival_times(shown).items():
                fresh = 2.0 ** -(max(0, asked.now_ms - at_ms) / half_life_ms)
                factors[shown[seq]] = factors.get(shown[seq], 1.0) * (1.0 + weight * fresh)
        return factors


class Limit(Protocol):
    """Limits how many of some items may be in one list."""

    def admits(self, group: str, item: Item) -> bool:
        """Whether the list may have the item besides those that were counted."""

    def count(self, group: str, item: Item) -> None:
        """The list has the item."""


class Quota:
    """``at_most``: so many items of one value of an attribute."""

    def __init__(self, at_most: Mapping[str, int]) -> None:
        self._at_most = at_most
        self._used: Counter[tuple[str, tuple[bool, Any]]] = Counter()

    def admits(self, group: str, item: Item) -> bool:
        """See ``Limit``."""
        return all(self._used[value] < self._at_most[value[0]] for value in self._values(item))

    def count(self, group: str, item: Item) -> None:
        """See ``Limit``."""
        self._used.update(self._values(item))

    def used_up(self) -> dict[str, list[Any]]:
        """By attribute, the values of which the list has as many as it may have."""
        found: dict[str, list[Any]] = defaultdict(list)
        for (name, (_, value)), used in self._used.items():
            if used >= self._at_most[name]:
                found[name].append(value)
        return found

    def _values(self, item: Item) -> list[tuple[str, tuple[bool, Any]]]:
        """The values that are counted; each element of a list by itself, and true apart from 1."""
        found: list[tuple[str, tuple[bool, Any]]] = []
        for name in self._at_most:
            value = item.attributes.get(name)
            elements = value if isinstance(value, list | tuple) else () if value is None else (value,)
            found += [(name, (isinstance(element, bool), element)) for element in dict.fromkeys(elements)]
        return found


class OneVariant:
    """``variants="one"``: one of all variants of a product."""

    def __init__(self, words: tuple[WordLists, ...], families: dict[str, Family | None]) -> None:
        self._words = words
        self._families = families
        self._seen: dict[tuple[str, ...], list[Family]] = defaultdict(list)

    def admits(self, group: str, item: Item) -> bool:
        """See ``Limit``."""
        family = self._family(group, item)
        return family is None or not any(family.includes(one) for one in self._seen.get(family.stem, ()))

    def count(self, group: str, item: Item) -> None:
        """See ``Limit``."""
        if (family := self._family(group, item)) is not None:
            self._seen[family.stem].append(family)

    def _family(self, group: str, item: Item) -> Family | None:
        if group not in self._families:
            self._families[group] = family_of(item, self._words)
        return self._families[group]


class Limits:
    """Leaves out what would be one too many, by the items that are shown."""

    def __init__(self, store: SqliteStore, canonical: CanonicalItems, filters: Filters) -> None:
        self._store = store
        self._canonical = canonical
        self._filters = filters

    def within(
        self, asked: ResolvedRequest, pool: Pool, first: Sequence[Ranked], ranked: Sequence[Ranked], count: int
    ) -> list[Ranked]:
        """The best ``count`` of the ranked items that keep to the limits.

        Args:
            asked: the request.
            pool: the candidates.
            first: what comes first and is counted; shown as it is.
            ranked: one of each group, best first; its group is shown by its canonical item.
            count: how many are wanted.
        """
        quota = Quota(asked.request.at_most)
        limits: list[Limit] = [quota] if asked.request.at_most else []
        most = len(ranked)
        if asked.request.variants == "one":
            limits.append(self._one_variant(asked, pool))
            most = MOST_READ_FOR_VARIANTS
        if not limits:
            return list(ranked[:count])
        for pinned in self._store.items.by_seq([member.seq for _, member in first]).values():
            _count(limits, pinned.group, pinned.item)
        kept: list[Ranked] = []
        for start in range(0, min(len(ranked), most), _AT_ONCE):
            part = ranked[start : start + _AT_ONCE]
            shown = self._canonical.items(asked, pool, [member.group for _, member in part])
            for score, member in part:
                row = shown.get(member.group)
                if len(kept) == count or row is None or not all(one.admits(row.group, row.item) for one in limits):
                    continue
                _count(limits, row.group, row.item)
                kept.append((score, member))
        pool.used_up = quota.used_up()
        return kept

    def narrowed(self, asked: ResolvedRequest, pool: Pool) -> ResolvedRequest:
        """The request for which sources pass over items of values that are used up: they cannot be listed."""
        excluded = [
            Not(Equals(name, "$in", tuple(typed)))
            for name, values in pool.used_up.items()
            # One moment can be written as several dates, and each is a value of its own.
            if (typed := [one for one in map(equal_to, values) if one.part is not Part.DATE])
        ]
        if not excluded:
            return asked
        parts: list[Expression] = [*excluded]
        if asked.request.filter is not None:
            parts.insert(0, parse(asked.request.filter))
        among = self._filters.survivors(asked.collection, Every(tuple(parts)))
        points = self._filters.points(asked.collection, asked.collection.dimension or 1, among)
        return replace(asked, among=among, nearby=PassingItems(self._store, points, among))

    def _one_variant(self, asked: ResolvedRequest, pool: Pool) -> OneVariant:
        """The limit, with the items that the list is to be like: it has no variants of them."""
        limit = OneVariant(asked.collection.settings.words, pool.families)
        for example in asked.like:
            row = None if example.id is None else self._store.items.get(asked.collection.id, example.id)
            if row is not None:
                limit.count(row.group, row.item)
        return limit


def _count(limits: Iterable[Limit], group: str, item: Item) -> None:
    for one in limits:
        one.count(group, item)
