"""The engine's candidate search over one side of labelled pairs: nearest vectors, and items that share rare words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.evaluation.labelled import Places
from recommender_engine.index import FlatIndex
from recommender_engine.matching import CountedTerms
from recommender_engine.matching.pair.profile import ItemTerms
from recommender_engine.pipeline.candidates.search import NEAREST
from recommender_engine.pipeline.candidates.sources import SHARING_WORDS
from recommender_engine.pipeline.lexical.rarest import sharing_rarest

_NONE: NDArray[np.int64] = np.empty(0, np.int64)


class CandidateSearch:
    """Finds the candidates of an item as if the items that are searched were a collection.

    Args:
        searched: positions of those items, ascending.
        vectors: of all items, shape (items, dimension), rows of unit length.
        terms: of all items.
    """

    def __init__(self, searched: Places, vectors: Vectors, terms: Sequence[ItemTerms]) -> None:
        self._vectors = vectors
        self._terms = terms
        self._index = FlatIndex(vectors.shape[1])
        self._index.add(searched, vectors[searched])
        self._statistics = CountedTerms(terms[one].distinct for one in searched.tolist())
        postings: dict[str, list[int]] = {}
        for one in searched.tolist():
            for term in terms[one].distinct:
                postings.setdefault(term, []).append(one)
        self._postings = {term: np.array(found, np.int64) for term, found in postings.items()}

    def candidates(self, item: int) -> list[int]:
        """Positions of the items that would be judged, the nearest first, then those found by words alone."""
        near = self._index.search(self._vectors[item][None], min(NEAREST, len(self._index))).labels[0].tolist()
        words = sharing_rarest(
            self._terms[item], self._statistics, lambda term: self._postings.get(term, _NONE), SHARING_WORDS
        )
        return list(dict.fromkeys([*near, *words]))
