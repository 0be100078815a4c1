"""Recommendations: of each group that is near an item the canonical one, best first."""

from __future__ import annotations

from collections.abc import Sequence

from recommender_engine.items import Recommendation
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.filtering import NearestSurvivors, Survivors
from recommender_engine.ranking import ScoredMember, nearest_by_group
from recommender_engine.store import Collection, SqliteStore


class Recommendations:
    """Turns what is near an item into recommendations."""

    def __init__(self, store: SqliteStore, compared_texts: ComparedTexts) -> None:
        self._store = store
        self._compared_texts = compared_texts

    def of(
        self,
        collection: Collection,
        candidates: Candidates | NearestSurvivors,
        *,
        but: str | None,
        limit: int | None = None,
        among: Survivors | None = None,
    ) -> tuple[Recommendation, ...]:
        """The canonical items of the groups that are near.

        Args:
            but: the group of the item itself, if it has one.
            limit: how many at most; by default the setting of the collection.
            among: what passes a filter: a group is then the items of it that pass.
        """
        settings = collection.settings
        members = (ScoredMember(one.group, one.seq, similarity) for one, similarity in candidates.nearest())
        best = nearest_by_group(
            members,
            floor=settings.similar_from,
            limit=settings.recommendations if limit is None else limit,
            counts=lambda one: one.group != but and self._compared_texts.is_current(collection, one.seq),
        )
        canonical = self.canonical(collection, [one.group for one in best], among)
        return tuple(Recommendation(id=canonical[one.group], score=one.similarity, group=one.group) for one in best)

    def canonical(self, collection: Collection, groups: Sequence[str], among: Survivors | None) -> dict[str, str]:
        """Ids of the items that stand for groups: of those that pass a filter, where there is one."""
        rule, hidden_ms = collection.settings.canonical, collection.hidden_ms
        if among is None:
            return self._store.groups.canonical(groups, rule, hidden_ms)
        found = {group: self._store.groups.canonical_among(group, rule, among.__contains__) for group in groups}
        return {group: id_ for group, id_ in found.items() if id_ is not None}
