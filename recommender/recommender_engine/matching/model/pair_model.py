"""The probability that two items are duplicates, from the features of the pair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from recommender_engine.matching.features.table import FEATURES
from recommender_engine.matching.model.logistic import Logistic
from recommender_engine.matching.model.operating_points import OperatingPoint, measured_threshold, threshold
from recommender_engine.matching.pair.segments import SEGMENTS, Kind, Segment, View
from recommender_engine.matching.trees import Floats, Integers, Trees

DEFAULT_FILE = "default_model.json"
_LARGEST, _DEEPEST = 1e9, 16  # limits of a model from outside: numbers, and levels of a tree
# For a model without measurements: precision is taken as equal to probability.
_AS_STATED = (OperatingPoint(0.5, 0.5), OperatingPoint(0.95, 0.95))

Points = tuple[OperatingPoint, ...]
SegmentPoints = Mapping[Segment, Points]


class ReviewScale(NamedTuple):
    """How the probabilities of a model that learned from answers compare with those of the model before them.

    Attributes:
        shift: added to its log-odds, they are those of the model before, on the mean of the answered pairs.
        holds_usual: whether ``review`` also holds the pairs that the model before the answers puts there.
    """

    shift: float
    holds_usual: bool


@dataclass(frozen=True, slots=True)
class PairModel:
    """A logistic regression and boosted trees, their log-odds averaged and calibrated.

    The regression generalises to domains without labels, the trees model interactions; their mean was better than
    either on every held-out set (`tools/fit_matcher.py`).

    Attributes:
        features: names of the features it reads, see `FEATURES`.
        logistic: over those features.
        trees: over those features.
        slope: of the calibration, factor of the averaged log-odds; below 1 if they were overconfident.
        intercept: of the calibration, added after the slope.
        operating_points: measured precision by threshold, over all segments; rising in both.
        review_from: probability from which a review pays.
        segments: operating points by view and kind, where measured: a segment without a precision is closed for it.
            ``None`` for a model of an older version, which has only ``operating_points``.
        review: of a model that learned from answers; ``None`` for any other.
    """

    features: tuple[str, ...]
    logistic: Logistic
    trees: Trees
    slope: float = 1.0
    intercept: float = 0.0
    operating_points: Points = _AS_STATED
    review_from: float = 0.5
    segments: SegmentPoints | None = None
    review: ReviewScale | None = None

    def duplicate_threshold(self, target_precision: float, segment: Segment | None = None) -> float:
        """The threshold at which this share of the flagged pairs are duplicates.

        `CLOSED` where that was not measured: no pair reaches it.

        Args:
            target_precision: in (0, 1).
            segment: segment of the pairs; without one, the measurement over all segments.
        """
        if self.segments is None or segment is None:
            return _threshold(self.operating_points, target_precision)
        return _measured_threshold(self.segments.get(segment, ()), target_precision)

    def raw_log_odds(self, rows: Floats) -> Floats:
        """Log-odds before calibration; ``rows`` has shape (n, len(FEATURES)), NaN where a value is missing."""
        chosen = rows[:, self._columns()]
        return (self.logistic.log_odds(chosen) + self.trees.log_odds(chosen)) / 2

    def log_odds(self, rows: Floats) -> Floats:
        """Calibrated log-odds of each row, shape (n,)."""
        return self.slope * self.raw_log_odds(rows) + self.intercept

    def probabilities(self, rows: Floats) -> Floats:
        """Probability of each row, shape (n,), in (0, 1)."""
        return probability(self.log_odds(rows))

    def typical(self) -> Floats:
        """The features of a typical pair of candidates, shape (len(FEATURES),); NaN for those it does not read."""
        row = np.full(len(FEATURES), np.nan)
        row[self._columns()] = self.logistic.typical
        return row

    def standardised(self, rows: Floats) -> Floats:
        """Inputs of the linear part, shape (n, 2 * features read)."""
        return self.logistic.standardised(rows[:, self._columns()])

    def _columns(self) -> Integers:
        return _columns(self.features)

    def to_json(self) -> dict[str, Any]:
        """The model as JSON values; numbers keep six significant digits."""
        return {
            "features": list(self.features),
            "logistic": {
                "typical": _rounded(self.logistic.typical),
                "mean": _rounded(self.logistic.mean),
                "scale": _rounded(self.logistic.scale),
                "weights": _rounded(self.logistic.weights),
                "bias": float(f"{self.logistic.bias:.6g}"),
            },
            "trees": {
                "features": self.trees.features.tolist(),
                # JSON has no infinity; no feature reaches the number used instead.
                "thresholds": _rounded(np.minimum(self.trees.thresholds, 1e9)),
                "missing": self.trees.missing.astype(int).tolist(),
                "values": _rounded(self.trees.values),
                "base": float(f"{self.trees.base:.6g}"),
            },
            "slope": float(f"{self.slope:.6g}"),
            "intercept": float(f"{self.intercept:.6g}"),
            "operating_points": [list(point) for point in self.operating_points],
            "review_from": self.review_from,
            **({} if self.segments is None else {"places": _segments_to_json(self.segments)}),
            **({} if self.review is None else {"review": [float(f"{self.review.shift:.6g}"), self.review.holds_usual]}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PairModel:
        """Read the output of `to_json`.

        Raises:
            KeyError: a part is missing.
            ValueError: it names an unknown feature.
        """
        unknown = sorted(set(data["features"]) - set(FEATURES))
        if unknown:
            raise ValueError(f"the model reads features that are not known here: {', '.join(unknown)}")
        logistic, trees = data["logistic"], data["trees"]
        return cls(
            features=tuple(data["features"]),
            logistic=Logistic(
                typical=np.array(logistic["typical"], np.float64),
                mean=np.array(logistic["mean"], np.float64),
                scale=np.array(logistic["scale"], np.float64),
                weights=np.array(logistic["weights"], np.float64),
                bias=float(logistic["bias"]),
            ),
            trees=Trees(
                features=np.array(trees["features"], np.int64),
                thresholds=np.array(trees["thresholds"], np.float64),
                missing=np.array(trees["missing"], np.bool_),
                values=np.array(trees["values"], np.float64),
                base=float(trees["base"]),
            ),
            slope=float(data["slope"]),
            intercept=float(data["intercept"]),
            operating_points=_points(data["operating_points"]),
            review_from=float(data["review_from"]),
            segments=_segments_from_json(data["places"]) if "places" in data else None,
            review=_review_from_json(data["review"]) if "review" in data else None,
        )

    @staticmethod
    def knows(data: Mapping[str, Any]) -> bool:
        """Whether every feature that a model reads, in the form of `to_json`, is in the table."""
        return set(data["features"]) <= set(FEATURES)

    @classmethod
    def checked(cls, text: str) -> PairModel:
        """Read a model from another process, and check that it can judge any pair.

        Raises:
            ValueError: it is no model, or its results would not be finite numbers.
        """
        try:
            model = cls.from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"no model of this version ({type(error).__name__})") from None
        if not _is_sound(model):
            raise ValueError("a model whose parts do not fit together, or with numbers out of range")
        return model


def probability(log_odds: Floats) -> Floats:
    """The logistic function."""
    return 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))


def _is_sound(model: PairModel) -> bool:
    columns, linear, trees = len(model.features), model.logistic, model.trees
    if columns == 0 or len(set(model.features)) != columns or trees.features.ndim != 2:
        return False
    depth = trees.features.shape[1]
    shapes = (
        (linear.typical, (columns,)),
        *((one, (2 * columns,)) for one in (linear.mean, linear.scale, linear.weights)),
        *((one, trees.features.shape) for one in (trees.thresholds, trees.missing)),
        (trees.values, (len(trees.features), 2 ** min(depth, _DEEPEST))),
    )
    if depth > _DEEPEST or any(one.shape != shape for one, shape in shapes):
        return False
    numbers = [linear.typical, linear.mean, linear.scale, linear.weights, trees.thresholds, trees.values]
    alone = [linear.bias, trees.base, model.slope, model.intercept, model.review.shift if model.review else 0.0]
    ladders = [model.operating_points, *(model.segments or {}).values()]
    return bool(
        all((np.abs(one) <= _LARGEST).all() for one in (*numbers, np.array(alone)))
        and (linear.scale > 1 / _LARGEST).all()
        and ((trees.features >= 0) & (trees.features < columns)).all()
        and model.operating_points
        and all(0 < number < 1 for points in ladders for point in points for number in point)
        and 0 <= model.review_from <= 1
    )


@cache
def default_model() -> PairModel:
    """The model shipped with the package; its file describes how it was fitted."""
    return PairModel.from_json(json.loads(files(__package__).joinpath(DEFAULT_FILE).read_text(encoding="utf-8")))


# Cached: needed for each verdict, and there are few different settings.
_threshold = lru_cache(maxsize=256)(threshold)
_measured_threshold = lru_cache(maxsize=1024)(measured_threshold)


def _points(data: Any) -> Points:
    return tuple([OperatingPoint(*map(float, point)) for point in data])


def _segments_to_json(segments: SegmentPoints) -> dict[str, Any]:
    return {
        view.value: {kind.value: [list(point) for point in segments.get(Segment(view, kind), ())] for kind in Kind}
        for view in View
    }


def _segments_from_json(data: Any) -> SegmentPoints:
    return {segment: _points(data[segment.view.value][segment.kind.value]) for segment in SEGMENTS}


def _review_from_json(data: Any) -> ReviewScale:
    shift, holds_usual = data
    return ReviewScale(float(shift), bool(holds_usual))


@lru_cache(maxsize=64)
def _columns(names: tuple[str, ...]) -> Integers:
    return np.array([FEATURES.index(name) for name in names], np.int64)


def _rounded(numbers: Floats) -> Any:
    return np.vectorize(lambda number: float(f"{number:.6g}"), otypes=[float])(numbers).tolist()
