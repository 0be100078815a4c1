"""How good probabilities and flags are against labels, on scikit-learn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
)

from recommender_engine.evaluation.flags import Flags
from recommender_engine.items.values import Value

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]

_BINS = 10


class Operating(Value):
    """The quality of flagging everything from a threshold up; ``None`` where nothing was flagged, or nothing labelled.

    Attributes:
        threshold: score from which a pair is flagged; of a band, which begins elsewhere for other kinds of text, the
            least that was flagged, or ``None``.
        precision: share of the flagged that are labelled, in [0, 1].
        recall: share of the labelled that are flagged, in [0, 1].
        f1: harmonic mean of both.
    """

    threshold: float | None
    precision: float | None
    recall: float | None
    f1: float | None


class Ranking(Value):
    """The quality of the order of the scores, whatever the threshold.

    Attributes:
        average_precision: area under the precision/recall curve as a step function, in [0, 1].
        roc_auc: probability that a labelled pair scores higher than another, in [0, 1].
        best_f1: F1 at the best threshold there is, chosen with the labels at hand: a bound, not a promise.
        best_threshold: that threshold.
    """

    average_precision: float
    roc_auc: float
    best_f1: float
    best_threshold: float


class Bin(NamedTuple):
    """Pairs with about the same stated probability.

    Attributes:
        stated: mean probability.
        true: share that is labelled.
        pairs: how many there are.
    """

    stated: float
    true: float
    pairs: int


def ranking(labels: Labels, scores: Scores) -> Ranking:
    """Judge the order of ``scores``; both arrays have shape (n,).

    Raises:
        ValueError: all labels are the same.
    """
    if labels.all() or not labels.any():
        raise ValueError("all labels are the same: a ranking takes both kinds")
    best, threshold = best_f1(labels, scores)
    return Ranking(
        average_precision=float(average_precision_score(labels, scores)),
        roc_auc=float(roc_auc_score(labels, scores)),
        best_f1=best,
        best_threshold=threshold,
    )


def best_f1(labels: Labels, scores: Scores) -> tuple[float, float]:
    """The best F1 over all thresholds, and the highest threshold that reaches it."""
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = len(f1) - 2 - int(f1[:-1][::-1].argmax())  # the last point of the curve has no threshold
    return float(f1[best]), float(thresholds[best])


def operating(labels: Labels, scores: Scores, threshold: float) -> Operating:
    """The quality of flagging every score of at least ``threshold``."""
    return flagging(labels, scores >= threshold, threshold)


def flagging(labels: Labels, flagged: Labels, threshold: float | None) -> Operating:
    """The quality of these flags; both arrays have shape (n,)."""
    counts = Flags(int(flagged.sum()), int(labels.sum()), int((flagged & labels).sum()))
    return Operating(threshold=threshold, precision=counts.precision, recall=counts.recall, f1=counts.f1)


def reliability(labels: Labels, probabilities: Scores, bins: int = _BINS) -> list[Bin]:
    """Stated probability against the true share, over ``bins`` equal parts of [0, 1]; empty parts are left out."""
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    pairs = np.bincount(place, minlength=bins)
    stated = np.bincount(place, probabilities, bins)
    true = np.bincount(place, labels.astype(np.float64), bins)
    return [Bin(float(stated[one] / n), float(true[one] / n), int(n)) for one, n in enumerate(pairs) if n]


def expected_calibration_error(labels: Labels, probabilities: Scores, bins: int = _BINS) -> float:
    """Mean distance of stated probability and true share, weighted by pairs (Naeini et al. 2015), in [0, 1]."""
    found = reliability(labels, probabilities, bins)
    return sum(one.pairs * abs(one.stated - one.true) for one in found) / len(labels)
