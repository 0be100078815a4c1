"""Segments that keep a target precision, segments where it is not measured yet, and the answers missing for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recommender_engine.matching.model.operating_points import CLOSED, carries, measured_threshold
from recommender_engine.matching.model.pair_model import PairModel
from recommender_engine.matching.pair.segments import SEGMENTS, Kind, Segment, View
from recommender_engine.matching.trees import Booleans, Floats


class Answered(NamedTuple):
    """The answers of a collection, for measuring thresholds.

    Attributes:
        stated: probability of each pair by a model that has not learned from its answer, shape (n,).
        labels: whether the two are duplicates, shape (n,).
        alone: whether the pair was judged without other candidates, shape (n,).
        kinds: kind of text of each pair; ``None`` if unknown, which counts for all kinds.
    """

    stated: Floats
    labels: Booleans
    alone: Booleans
    kinds: Sequence[Kind | None]

    def and_also(self, more: Answered) -> Answered:
        """These answers, followed by more."""
        return Answered(
            np.concatenate([self.stated, more.stated]),
            np.concatenate([self.labels, more.labels]),
            np.concatenate([self.alone, more.alone]),
            [*self.kinds, *more.kinds],
        )

    def at(self, segment: Segment) -> tuple[Floats, Booleans]:
        """Probabilities and labels of the answers for a segment."""
        of_kind = np.array([kind is None or kind is segment.kind for kind in self.kinds], np.bool_)
        here = of_kind & (self.alone if segment.view is View.ALONE else ~self.alone)
        return self.stated[here], self.labels[here]


class Promise(NamedTuple):
    """Whether a precision is kept in one segment.

    Attributes:
        segment: view and kind of text.
        begins_at: threshold; ``None`` if the precision is not measured, and the band is closed.
        answers: number of answers for the segment.
        missing: least number of further answers that open a closed band, if all of them say "same". ``None`` if the
            band is open, or no number of answers opens it.
    """

    segment: Segment
    begins_at: float | None
    answers: int
    missing: int | None = None


def promises(model: PairModel, target: float, answered: Answered) -> list[Promise]:
    """Whether a model keeps a precision, segment by segment.

    Args:
        model: the current model.
        target: the precision, in (0, 1).
        answered: the answers of the collection.
    """
    found = []
    for segment in SEGMENTS:
        begins_at = model.duplicate_threshold(target, segment)
        stated, labels = answered.at(segment)
        if begins_at != CLOSED:
            found.append(Promise(segment, begins_at, len(labels)))
        else:
            missing = missing_answers(model, target, stated, labels)
            found.append(Promise(segment, None, len(labels), None if missing is None else max(missing, 1)))
    return found


def missing_answers(model: PairModel, target: float, stated: Floats, labels: Booleans) -> int | None:
    """The least number of further answers with which the answers carry a precision; ``None`` if no number does.

    It is enough if all of them say "same", of pairs as probable as the right ones so far, and the model has learned
    from them. 0 if there are enough answers but the model has not learned from them yet.

    Args:
        model: has the ladder of precisions that answers can open.
        target: the precision, in (0, 1).
        stated: probability of each answered pair, shape (n,).
        labels: shape (n,).
    """
    precision = next((point.precision for point in model.operating_points if point.precision >= target), None)
    if precision is None or measured_threshold(model.operating_points, target) == CLOSED:
        return None
    right = np.cumsum(labels[np.argsort(-stated, kind="stable")]).tolist()
    fewest = more_right(0, 0, precision)
    for flagged, of_these in enumerate(right, start=1):
        if (flagged - of_these) * precision / (1 - precision) - of_these < fewest:  # the share alone needs this many
            fewest = min(fewest, more_right(of_these, flagged, precision))
    return fewest


def more_right(right: int, flagged: int, precision: float) -> int:
    """The number of further right ones with which a sample carries a precision (`carries`)."""
    low, high = -1, 1
    while not carries(right + high, flagged + high, precision):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if carries(right + middle, flagged + middle, precision) else (middle, high)
    return max(high, 0)
