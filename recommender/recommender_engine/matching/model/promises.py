"""Where a stated precision is kept, where it is not measured yet, and what would measure it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recommender_engine.matching.model.operating_points import CLOSED, carries, measured_threshold
from recommender_engine.matching.model.pair_model import PairModel
from recommender_engine.matching.pair.segments import SEGMENTS, Kind, Segment, View
from recommender_engine.matching.trees import Booleans, Floats


class Answered(NamedTuple):
    """What people answered, as far as it says where bands begin.

    Attributes:
        stated: probability of each pair by a model that has not learned from its answer, shape (n,).
        labels: whether the two are the same thing, shape (n,).
        alone: which of the pairs were judged alone, shape (n,).
        kinds: of text, by pair; ``None`` where it is not known, which counts for all kinds.
    """

    stated: Floats
    labels: Booleans
    alone: Booleans
    kinds: Sequence[Kind | None]

    def and_also(self, more: Answered) -> Answered:
        """These, and then those."""
        return Answered(
            np.concatenate([self.stated, more.stated]),
            np.concatenate([self.labels, more.labels]),
            np.concatenate([self.alone, more.alone]),
            [*self.kinds, *more.kinds],
        )

    def at(self, place: Segment) -> tuple[Floats, Booleans]:
        """Probabilities and labels of those that speak of a place."""
        of_kind = np.array([kind is None or kind is place.kind for kind in self.kinds], np.bool_)
        here = of_kind & (self.alone if place.view is View.ALONE else ~self.alone)
        return self.stated[here], self.labels[here]


class Promise(NamedTuple):
    """Whether a precision is kept in one place.

    Attributes:
        place: view and kind of text.
        begins_at: probability from which pairs are flagged; ``None`` where the precision is not measured, and the band
            is closed.
        answers: how many answers speak of the place.
        missing: of a closed band, at least how many more answers open it: so many if all of them are that the two are
            the same. ``None`` where the band is open, or no number of answers opens it.
    """

    place: Segment
    begins_at: float | None
    answers: int
    missing: int | None = None


def promises(model: PairModel, target: float, answered: Answered) -> list[Promise]:
    """Whether a model keeps a precision, place by place.

    Args:
        model: that judges.
        target: the precision, in (0, 1).
        answered: what people said of pairs of the collection.
    """
    found = []
    for place in SEGMENTS:
        begins_at = model.duplicate_threshold(target, place)
        stated, labels = answered.at(place)
        if begins_at != CLOSED:
            found.append(Promise(place, begins_at, len(labels)))
        else:
            missing = missing_answers(model, target, stated, labels)
            found.append(Promise(place, None, len(labels), None if missing is None else max(missing, 1)))
    return found


def missing_answers(model: PairModel, target: float, stated: Floats, labels: Booleans) -> int | None:
    """At least how many more answers make those that there are carry a precision; ``None`` if none can.

    So many are enough if all of them say "same", of pairs as likely as those that were answered right, and the model
    has learned from them; 0 where it has not yet.

    Args:
        model: whose ladder of precisions an answer can open.
        target: the precision, in (0, 1).
        stated: probability of each pair that was answered, shape (n,).
        labels: shape (n,).
    """
    precision = next((point.precision for point in model.operating_points if point.precision >= target), None)
    if precision is None or measured_threshold(model.operating_points, target) == CLOSED:
        return None
    right = np.cumsum(labels[np.argsort(-stated, kind="stable")]).tolist()
    fewest = more_right(0, 0, precision)
    for flagged, of_these in enumerate(right, start=1):
        if (flagged - of_these) * precision / (1 - precision) - of_these < fewest:  # so many the share alone takes
            fewest = min(fewest, more_right(of_these, flagged, precision))
    return fewest


def more_right(right: int, flagged: int, precision: float) -> int:
    """How many more, all of them right, make so many right ones of so many carry a precision (`carries`)."""
    low, high = -1, 1
    while not carries(right + high, flagged + high, precision):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if carries(right + middle, flagged + middle, precision) else (middle, high)
    return max(high, 0)
