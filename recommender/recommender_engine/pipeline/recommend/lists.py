"""Lists of recommendations: resolve the request, ask the sources, score, collapse duplicates, diversify, cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items.list_request import ListRequest
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.filtering import Filters
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.recommend.canonical import CanonicalItems
from recommender_engine.pipeline.recommend.fatigue import Fatigue
from recommender_engine.pipeline.recommend.listed import Listed
from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.pipeline.recommend.resolving import RequestResolver
from recommender_engine.pipeline.recommend.rules import Boosts, Limits
from recommender_engine.pipeline.recommend.scores import disliked, scored, weights_of, why
from recommender_engine.pipeline.recommend.sources.popular import Newest, Popular
from recommender_engine.pipeline.recommend.sources.source import Source, passing
from recommender_engine.pipeline.recommend.sources.text import Interests, TextNeighbours
from recommender_engine.pipeline.recommend.sources.together import Bridge, UsedTogether
from recommender_engine.pipeline.recommend.sources.users import Neighbours, OwnItems
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.recommend.diversity import POOL, diverse
from recommender_engine.store import Member, SqliteStore

_FIRST, _WIDER, _WIDEST = 100, 4, 25_600
_POOL_PER_ITEM = 5
_DECIMALS = 6


class RecommendationLists:
    """Answers requests from the committed state; nothing is stored."""

    def __init__(
        self,
        store: SqliteStore,
        resolver: RequestResolver,
        compared_texts: ComparedTexts,
        recommendations: Recommendations,
        indexes: Indexes,
        filters: Filters,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._compared_texts = compared_texts
        self._indexes = indexes
        self._canonical = CanonicalItems(store, recommendations)
        self._boosts = Boosts(store, self._canonical, filters)
        self._fatigue = Fatigue(store)
        self._limits = Limits(store, self._canonical, filters)
        self._sources: tuple[Source, ...] = (
            TextNeighbours(),
            UsedTogether(store),
            Bridge(store),  # behind the texts, whose items it asks
            OwnItems(store),
            Neighbours(store),
            Interests(store),
            Popular(store),
            Newest(store),
        )

    def answer(self, request: ListRequest) -> list[Listed] | None:
        """Recommendations, best first, or ``None`` when the item that is named is not there.

        Raises:
            InvalidCommand: see ``RequestResolver.resolve``.
        """
        asked = self._resolver.resolve(request)
        if asked is None:
            return None if request.item is not None else []
        pool, count, sources, searched = Pool(), _FIRST, self._sources, asked
        while True:
            sources = tuple(source for source in sources if source.find(searched, pool, count))
            listed = self._listed(asked, pool, self._ranked(asked, pool))
            if len(listed) >= asked.request.limit or not sources or count >= _WIDEST:
                return listed
            count *= _WIDER
            searched = self._limits.narrowed(asked, pool)

    # -- the list ------------------------------------------------------------------------------------------------------

    def _ranked(self, asked: ResolvedRequest, pool: Pool) -> list[tuple[float, Member]]:
        """The best candidate of each group, best first."""
        there = [one for one in pool.members.values() if one.group and one.group not in asked.left_out]
        members = self._compared_texts.current(asked.collection, there)
        seqs = [member.seq for member in members]
        scores = scored(weights_of(asked), pool, seqs, self._compare(asked, pool, members))
        factors = self._boosts.factors(asked, pool, dict.fromkeys(member.group for member in members))
        for group, factor in self._fatigue.factors(asked).items():
            factors[group] = factors.get(group, 1.0) * factor
        if factors:
            scores *= np.array([factors.get(member.group, 1.0) for member in members])
        best: dict[str, tuple[float, Member]] = {}
        order = np.lexsort((np.array(seqs, np.int64), -scores))
        order = order[scores[order] > 0.0]
        for place, score in zip(order.tolist(), scores[order].tolist(), strict=True):
            best.setdefault(members[place].group, (score, members[place]))
        return list(best.values())

    def _compare(self, asked: ResolvedRequest, pool: Pool, members: Sequence[Member]) -> NDArray[np.float64] | None:
        """Complete the cosines to the examples; returns how much each is like what is not wanted, shape (n,)."""
        if not members or not asked.like:
            return None
        vectors = self._vectors(asked, [member.point for member in members])
        examples = np.stack([one.vector for one in asked.like])
        cosines = (vectors @ examples.T).astype(np.float64).round(_DECIMALS)
        weights = np.array([one.weight for one in asked.like])
        cosines = np.average(cosines, axis=1, weights=weights / weights.max())
        texts = zip((member.seq for member in members), (np.maximum(0.0, cosines) + 0.0).tolist(), strict=True)
        pool.terms.setdefault("text", {}).update(texts)
        if not asked.unlike:
            return None
        unlike = (vectors @ np.stack([one.vector for one in asked.unlike]).T).astype(np.float64).round(_DECIMALS)
        return disliked(unlike, [one.weight for one in asked.unlike])

    def _pinned(self, asked: ResolvedRequest, pool: Pool) -> list[tuple[float, Member]]:
        """The pinned items that may be in the list, one of a group, each itself; they have no score."""
        ids = asked.request.pins
        found = self._store.items.named(asked.collection.id, ids) if ids else []
        named = {one.id: one for one in passing(asked, found)}
        pinned: dict[str, Member] = {}
        for member in [named[id_] for id_ in ids if id_ in named]:
            if member.group not in asked.left_out and len(pinned) < asked.request.limit:
                pinned.setdefault(member.group, member)
                pool.terms.setdefault("pinned", {})[member.seq] = 1.0
        return [(0.0, member) for member in pinned.values()]

    def _vectors(self, asked: ResolvedRequest, points: Sequence[int]) -> NDArray[np.float32]:
        index = self._indexes.of(asked.collection, asked.collection.dimension or 1)
        return index.vectors(np.array(points, np.int64))

    def _listed(self, asked: ResolvedRequest, pool: Pool, ranked: Sequence[tuple[float, Member]]) -> list[Listed]:
        pinned = self._pinned(asked, pool)
        limit = asked.request.limit - len(pinned)
        taken = {one.group for _, one in pinned}
        left = [one for one in ranked if one[1].group not in taken]
        best = self._limits.within(asked, pool, pinned, left, max(POOL, _POOL_PER_ITEM * limit))
        chosen = list(pinned)
        if best and limit > 0:
            scores = np.array([score for score, _ in best])
            vectors = self._vectors(asked, [one.point for _, one in best])
            chosen += [best[place] for place in diverse(scores, vectors, limit, asked.request.diversity)]
        shown = self._canonical.items(asked, pool, [one.group for _, one in chosen])
        shown.update({row.group: row for row in self._store.items.by_seq([one.seq for _, one in pinned]).values()})
        return [
            Listed(
                id=shown[member.group].item.id,
                score=round(score, _DECIMALS),
                group=member.group,
                terms={term: round(value, _DECIMALS) for term, value in sorted(pool.terms_of(member.seq).items())},
                why=why(asked, pool, member.seq),
                text=shown[member.group].item.content,
                compared=shown[member.group].compared_text,
                attributes=shown[member.group].item.attributes,
                recommendation_id=asked.request.recommendation_id,
                arm=asked.arm,
            )
            for score, member in chosen
            if member.group in shown
        ]
