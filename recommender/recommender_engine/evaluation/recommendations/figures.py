"""Figures of lists of recommendations: recall, nDCG, coverage, likeness inside a list, novelty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.evaluation.recommendations.history import Places
from recommender_engine.items.values import Value

LIMIT = 10
"""The length of the lists."""


class Figures(Value):
    """How well lists meet what is relevant; ``None`` where there was no query.

    Attributes:
        queries: how many lists were asked for.
        recall_at_10: mean of the hits, divided by the number of relevant items, or by 10 if there are more.
        recall_at_10_se: its standard error.
        ndcg_at_10: mean normalised discounted cumulative gain with binary relevance, in [0, 1] (Järvelin and
            Kekäläinen 2002).
        ndcg_at_10_se: its standard error.
    """

    queries: int
    recall_at_10: float | None
    recall_at_10_se: float | None
    ndcg_at_10: float | None
    ndcg_at_10_se: float | None


class ListFigures(Figures):
    """… and what the lists are like.

    Attributes:
        coverage: of all candidates, the share that is in a list.
        intra_list_similarity: mean cosine of the texts of two items of a list, in [-1, 1]; the lower, the more diverse.
        novelty: mean of -log2 of the share of the baskets before the split that have the item, in bits; the higher, the
            less popular.
        short: lists of fewer than 10.
    """

    coverage: float | None
    intra_list_similarity: float | None
    novelty: float | None
    short: int


class ItemFigures(ListFigures):
    """Recommendations for items.

    Attributes:
        warm: for items that were used before the split.
        cold: for all others.
    """

    warm: Figures
    cold: Figures


class UserFigures(Value):
    """Recommendations for users, before each of their baskets.

    Attributes:
        all: against all items of the basket.
        new: lists without what the user knows, against the items of the basket that are new to the user.
    """

    all: ListFigures
    new: ListFigures


class Lists:
    """Collects lists and what was relevant.

    Args:
        candidates: how many items may be recommended.
        vectors: of the texts of all items, shape (items, dimension), rows of unit length.
        novelty: of each item, in bits, shape (items,).
    """

    def __init__(self, candidates: int, vectors: Vectors, novelty: NDArray[np.float64]) -> None:
        self._candidates = candidates
        self._vectors = vectors
        self._novelty = novelty
        self._seen: set[int] = set()
        self._likeness: list[float] = []
        self._novelties: list[float] = []
        self._short = 0
        self._recalls: list[float] = []
        self._gains: list[float] = []

    def add(self, found: Sequence[int], relevant: Places) -> None:
        """One list, the best first, of at most ten different items; there is at least one relevant item."""
        most = min(LIMIT, len(relevant))
        hits = np.isin(np.array(found[:LIMIT], np.int64), relevant)
        discounts = 1.0 / np.log2(np.arange(2, LIMIT + 2))
        self._recalls.append(float(hits.sum()) / most)
        self._gains.append(float(hits @ discounts[: len(hits)] / discounts[:most].sum()))
        self._seen.update(found)
        self._short += len(found) < LIMIT
        if found:
            self._novelties.append(float(self._novelty[list(found)].mean()))
        if len(found) > 1:
            made = self._vectors[list(found)].astype(np.float64)
            total = float(np.square(made.sum(axis=0)).sum() - np.square(made).sum())
            self._likeness.append(total / (len(found) * (len(found) - 1)))

    def figures(self, which: NDArray[np.bool_] | None = None) -> Figures:
        """How well the lists meet what is relevant; ``which``: only those lists, shape (lists,)."""
        everything = slice(None) if which is None else which
        recalls, gains = (np.array(one, np.float64)[everything] for one in (self._recalls, self._gains))
        return Figures(
            queries=len(recalls),
            recall_at_10=_mean(recalls),
            recall_at_10_se=_standard_error(recalls),
            ndcg_at_10=_mean(gains),
            ndcg_at_10_se=_standard_error(gains),
        )

    def list_figures(self) -> ListFigures:
        """… and what the lists are like."""
        return ListFigures(
            **self.figures().model_dump(),
            coverage=len(self._seen) / self._candidates if self._recalls else None,
            intra_list_similarity=_mean(np.array(self._likeness)),
            novelty=_mean(np.array(self._novelties)),
            short=self._short,
        )


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _standard_error(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
