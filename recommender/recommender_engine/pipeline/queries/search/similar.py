"""Similar items of a stored item. Nothing is stored."""

from __future__ import annotations

from typing import Any

from recommender_engine.items import Attributes
from recommender_engine.items.values import Value
from recommender_engine.pipeline.candidates.filtering import Filters
from recommender_engine.pipeline.candidates.item_vectors import ItemVectors
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.recommend.filters import Expression, parse
from recommender_engine.store import Collection, SqliteStore

_WIDEST = 25_600  # most points that are read for an answer, where a few groups have nearly all that are near


class SearchHit(Value):
    """One similar item.

    Attributes:
        id: the canonical item of its group.
        score: cosine similarity of the closest member of the group, in [-1, 1].
        group: the group.
        text: what the canonical item says.
        compared: what of that is compared; ``None`` where that is all of it.
        attributes: its attributes.
    """

    id: str
    score: float
    group: str
    text: str
    compared: str | None
    attributes: Attributes


class SimilarItems:
    """Finds similar items in the committed state."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        item_vectors: ItemVectors,
        search: CandidateSearch,
        recommendations: Recommendations,
        filters: Filters,
    ) -> None:
        self._store = store
        self._collections = collections
        self._item_vectors = item_vectors
        self._search = search
        self._recommendations = recommendations
        self._filters = filters

    def recommend(self, item_id: str, collection: str, limit: int, filter_: Any = None) -> list[SearchHit] | None:
        """Items similar to a stored one, or ``None`` when it is not there; filtered as those of ``search``."""
        passing = None if filter_ is None else parse(filter_)
        found = self._collections.find(collection)
        stored = None if found is None else self._store.items.get(found.id, item_id, found.hidden_ms)
        if found is None or stored is None:
            return None
        return self._hits(found, self._item_vectors.of(found, stored), limit, stored.group, passing)

    def _hits(
        self, collection: Collection, vector: Vector, limit: int, but: str | None, passing: Expression | None
    ) -> list[SearchHit]:
        k = max(collection.settings.candidates, 2 * limit)
        if passing is None:
            candidates = self._search.nearest(collection, vector, k, _WIDEST)
            found = self._recommendations.of(collection, candidates, but=but, limit=limit)
        else:
            survivors = self._filters.survivors(collection, passing)
            (near,) = self._filters.nearest(collection, vector[None], survivors, k)
            found = self._recommendations.of(collection, near, but=but, limit=limit, among=survivors)
        rows = {one.id: self._store.items.get(collection.id, one.id, collection.hidden_ms) for one in found}
        return [
            SearchHit(
                id=one.id,
                score=one.score,
                group=one.group,
                text=row.item.content,
                compared=row.compared_text,
                attributes=row.item.attributes,
            )
            for one in found
            if (row := rows[one.id]) is not None
        ]
