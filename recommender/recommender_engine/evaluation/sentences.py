"""How well the embeddings of sentences agree with what people say of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.errors import ConfigurationError
from recommender_engine.items.values import Value

Numbers = NDArray[np.float64]


class Correlation(Value):
    """How far similarities follow the scores of people, each in [-1, 1].

    Attributes:
        pairs: that were compared.
        spearman: of the ranks; the figure of the STS benchmarks.
        pearson: of the values.
    """

    pairs: int
    spearman: float
    pearson: float


def correlation(similarities: Numbers, scores: Numbers) -> Correlation:
    """Correlation of similarities with scores, both of shape (n,).

    Raises:
        ConfigurationError: there are fewer than two, or all similarities or all scores are the same.
    """
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(similarities) == 0:
        raise ConfigurationError("a correlation needs at least two pairs with different scores and similarities")
    return Correlation(
        pairs=len(scores),
        spearman=float(spearmanr(similarities, scores).statistic),
        pearson=float(pearsonr(similarities, scores).statistic),
    )


def row_cosines(one: Vectors, other: Vectors) -> Numbers:
    """Cosine of each row with the same row of the other, both of unit length, shape (n,)."""
    cosines: Numbers = np.einsum("ij,ij->i", one, other).astype(np.float64)
    return cosines


def triplet_accuracy(anchors: Vectors, positives: Vectors, negatives: Vectors) -> float:
    """Share of the triplets whose positive is closer by cosine than the negative; an equal one counts as wrong."""
    return float(np.mean(row_cosines(anchors, positives) > row_cosines(anchors, negatives)))


def reciprocal_rank(anchors: Vectors, positives: Vectors) -> float:
    """Mean reciprocal rank of each anchor's own positive among all positives, in (0, 1].

    A positive with the vector of the right one is not held against it.
    """
    similarities = anchors @ positives.T
    own = np.diag(similarities)[:, None]
    return float(np.mean(1.0 / (1 + (similarities > own + 1e-6).sum(axis=1))))
