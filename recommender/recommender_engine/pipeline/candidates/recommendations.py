"""Recommendations: of each group that is near an item the canonical one, best first."""

from __future__ import annotations

from recommender_engine.items import Recommendation
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.ranking import ScoredMember, nearest_by_group
from recommender_engine.store import Collection, SqliteStore


class Recommendations:
    """Turns what is near an item into recommendations."""

    def __init__(self, store: SqliteStore, compared_texts: ComparedTexts) -> None:
        self._store = store
        self._compared_texts = compared_texts

    def of(
        self, collection: Collection, candidates: Candidates, *, but: str | None, limit: int | None = None
    ) -> tuple[Recommendation, ...]:
        """The canonical items of the groups that are near.

        Args:
            but: the group of the item itself, if it has one.
            limit: how many at most; by default the setting of the collection.
        """
        settings = collection.settings
        members = (ScoredMember(one.group, one.seq, similarity) for one, similarity in candidates.nearest())
        best = nearest_by_group(
            members,
            floor=settings.similar_from,
            limit=settings.recommendations if limit is None else limit,
            counts=lambda one: one.group != but and self._compared_texts.is_current(collection, one.seq),
        )
        canonical = self._store.groups.canonical([one.group for one in best], settings.canonical, collection.hidden_ms)
        return tuple(Recommendation(id=canonical[one.group], score=one.similarity, group=one.group) for one in best)
