"""Fits models of pairs to labels, adapts a model to few answers, and chooses thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

import numpy as np

from recommender_engine.matching.features.table import FEATURES, MONOTONE, TABLE
from recommender_engine.matching.model.boosting import Growth, grow
from recommender_engine.matching.model.logistic import newton, regress
from recommender_engine.matching.model.operating_points import CLOSED, OperatingPoint, carries, measured_threshold
from recommender_engine.matching.model.pair_model import PairModel, Points, probability
from recommender_engine.matching.model.promises import Answered
from recommender_engine.matching.model.review import with_review
from recommender_engine.matching.pair.segments import SEGMENTS
from recommender_engine.matching.trees import Booleans, Floats

# The time between duplicates differs between collections: bug reports repeat recent ones, a catalogue any item. So
# these features are only learned from a collection's own answers, and the shipped model does not read them.
_COLLECTION_FEATURES = {one.name: one.usual for one in TABLE if one.usual is not None}
UNIVERSAL = tuple(name for name in FEATURES if name not in _COLLECTION_FEATURES)

# From this number of labelled pairs, and this number of the rarer label, a model fitted to the collection is better
# than an adapted one. Both, like the penalties below, are from learning curves on three held-out sets
# (tools/fit_matcher.py --curve).
OWN_MODEL_FROM = 1000
OWN_MODEL_FROM_RARER = 100
_GROWTH = Growth(trees=100, l2=20.0, columns=0.4)
_OWN_L2 = 5.0
_OWN_GROWTH = Growth(trees=200, columns=0.5)

# Penalty for a distance from the model that adapting starts with.
_HOLD_WEIGHTS = 30.0
_HOLD_SLOPE = 10.0
_HOLD_INTERCEPT = 2.0
_LEAST_SLOPE = 0.05
# One in this many pairs of each label is held out for calibration.
_PARTS = 4
# Folds of the cross-validation for thresholds.
_PARTS_HELD_OUT = 5
# This number of answers has the same weight as the sets of the shipped thresholds.
_HOLD_POINTS = 100
# At least this share of the answers that open a band is in the lower half of its range.
_LEAST_BELOW = 0.25
# Answers are no random sample: if only duplicates were confirmed, their precision does not hold for other pairs.
_LOWEST, _HIGHEST, _LEAST_STEP = 0.5, 0.9995, 1e-6


@dataclass(frozen=True, slots=True)
class Recipe:
    """Parameters of a fit.

    Attributes:
        l2: penalty of the logistic regression.
        growth: of the trees.
        features: names of the features to read.
    """

    l2: float = 200.0
    growth: Growth = _GROWTH
    features: tuple[str, ...] = UNIVERSAL


def fit(rows: Floats, labels: Booleans, weights: Floats | None = None, recipe: Recipe | None = None) -> PairModel:
    """Fit a model to labelled pairs.

    Args:
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,), true for duplicates; both labels must occur.
        weights: shape (n,), positive; only their proportions count.
        recipe: by default that of the shipped model.

    Raises:
        ValueError: all labels are the same.
    """
    recipe = recipe or Recipe()
    if labels.all() or not labels.any():
        raise ValueError("to learn from pairs takes both: some that are the same and some that are not")
    mass = np.ones(len(rows)) if weights is None else weights / weights.mean()
    chosen = rows[:, [FEATURES.index(name) for name in recipe.features]]
    monotone = [MONOTONE[name] for name in recipe.features]
    return PairModel(
        features=recipe.features,
        logistic=regress(chosen, labels, mass, recipe.l2),
        trees=grow(chosen, labels, mass, monotone, recipe.growth),
    )


def adapt(model: PairModel, rows: Floats, labels: Booleans) -> PairModel:
    """Adapt a model's linear part and calibration to labelled pairs.

    The maximum a posteriori estimate under a normal prior around the model: few pairs change little. Features that are
    only learned from a collection's answers start with weight 0, if the pairs have them.

    Args:
        model: where to start, usually the shipped one.
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,).
    """
    model = _widened(model, _new_collection_features(model, rows))
    standardised = model.standardised(rows)
    count = standardised.shape[1]
    design = np.hstack([standardised, model.raw_log_odds(rows)[:, None], np.ones((len(rows), 1))])
    start = np.append(np.zeros(count), [model.slope, model.intercept])
    hold = np.append(np.full(count, _HOLD_WEIGHTS), [_HOLD_SLOPE, _HOLD_INTERCEPT])
    found = newton(design, labels, np.ones(len(rows)), hold, start)
    slope = max(float(found[-2]), _LEAST_SLOPE)
    # The model averages two parts and multiplies by the slope, so an addition to one part is divided by both.
    logistic = replace(model.logistic, weights=model.logistic.weights + 2 * found[:-2] / slope)
    return replace(model, logistic=logistic, slope=slope, intercept=float(found[-1]))


def learn(model: PairModel, rows: Floats, labels: Booleans) -> PairModel:
    """The best model for the labelled pairs of a collection: adapted while they are few, then fitted to them.

    Thresholds do not change; see `precision_threshold`.

    Args:
        model: where to start, usually the shipped one.
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,).
    """
    if not _has_own_model(labels):
        return with_review(adapt(model, rows, labels), model, rows, labels)
    recipe = Recipe(_OWN_L2, _OWN_GROWTH, _readable(model, rows))
    slope, intercept = _calibration(rows, labels, recipe)
    own = replace(fit(rows, labels, recipe=recipe), slope=slope, intercept=intercept)
    own = replace(own, operating_points=model.operating_points, review_from=model.review_from, segments=model.segments)
    return with_review(own, model, rows, labels)


def held_out(model: PairModel, rows: Floats, labels: Booleans, stated: Floats) -> Floats:
    """Cross-validated probability of each pair, shape (n,), on the scale of the current model.

    A probability stated before an answer is on the scale of an earlier model, so it does not fit a threshold of the
    current one. A model fitted to the collection hardly changes any more: there the stated probabilities are returned.

    Args:
        model: where to start, usually the shipped one.
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,).
        stated: of each pair before it was answered, shape (n,).
    """
    if _has_own_model(labels):
        return stated
    found = np.empty(len(labels))
    for part in range(_PARTS_HELD_OUT):
        held = np.arange(len(labels)) % _PARTS_HELD_OUT == part
        if held.any():
            found[held] = adapt(model, rows[~held], labels[~held]).probabilities(rows[held])
    return found


def _has_own_model(labels: Booleans) -> bool:
    """Whether a collection has enough answers for a model fitted to them."""
    same = int(labels.sum())
    return len(labels) >= OWN_MODEL_FROM and min(same, len(labels) - same) >= OWN_MODEL_FROM_RARER


def _calibration(rows: Floats, labels: Booleans, recipe: Recipe) -> tuple[float, float]:
    """Slope and intercept that calibrate the log-odds of a fit, whose regularised parts are shrunk.

    Estimated on pairs held out of the fit (Platt 1999), with a prior at slope 1 and intercept 0 as in `adapt`.
    """
    held = np.where(labels, np.cumsum(labels), np.cumsum(~labels)) % _PARTS == 0  # of both labels, in any order
    fitted = fit(rows[~held], labels[~held], recipe=recipe)
    design = np.stack([fitted.raw_log_odds(rows[held]), np.ones(int(held.sum()))], axis=1)
    hold, start = np.array([_HOLD_SLOPE, _HOLD_INTERCEPT]), np.array([1.0, 0.0])
    slope, intercept = newton(design, labels[held], np.ones(len(design)), hold, start).tolist()
    return max(slope, _LEAST_SLOPE), intercept


def _readable(model: PairModel, rows: Floats) -> tuple[str, ...]:
    """Features of a newly fitted model: those of the old one, and all others with values in the rows."""
    unread = (name for name in FEATURES if name not in model.features)
    return (*model.features, *(name for name in unread if not np.isnan(rows[:, FEATURES.index(name)]).all()))


def _new_collection_features(model: PairModel, rows: Floats) -> tuple[str, ...]:
    """Features learned only from a collection's answers that the rows have and the model lacks."""
    known = (name for name in _COLLECTION_FEATURES if name not in model.features)
    return tuple(name for name in known if not np.isnan(rows[:, FEATURES.index(name)]).all())


def _widened(model: PairModel, names: tuple[str, ...]) -> PairModel:
    """The model with further features of `_COLLECTION_FEATURES` at weight 0."""
    figures = np.array([_COLLECTION_FEATURES[name] for name in names]).reshape(-1, 2)
    return replace(
        model, features=(*model.features, *names), logistic=model.logistic.widened(figures[:, 0], figures[:, 1])
    )


def precision_threshold(
    probabilities: Floats, labels: Booleans | Floats, target: float, weights: Floats | None = None
) -> float:
    """The lowest threshold with a precision of at least ``target``; 1 if there is none.

    Args:
        probabilities: shape (n,).
        labels: shape (n,).
        target: in (0, 1].
        weights: shape (n,), positive.
    """
    thresholds, precision, _ = _curve(probabilities, labels, weights)
    reached = np.flatnonzero(precision >= target)
    return float(thresholds[reached[-1]]) if len(reached) else 1.0


def carried_threshold(probabilities: Floats, labels: Booleans | Floats, precision: float) -> float:
    """The lowest threshold at which the pairs carry a precision (`carries`); `CLOSED` if there is none.

    It is not below the answered range: a quarter of the pairs above it lie in the lower half of their range of
    log-odds. An even sample has more there; a few outliers far below the others have fewer, and are no evidence for
    the range between.

    Args:
        probabilities: shape (n,).
        labels: shape (n,), or the expected share of right ones.
        precision: in (0, 1).
    """
    order = np.argsort(-probabilities, kind="stable")
    falling, right = probabilities[order], np.cumsum(labels[order])
    bounded = np.clip(falling, 1 - _HIGHEST, _HIGHEST)
    sinking = np.log((1 - bounded) / bounded)  # rises as probabilities fall
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else order
    for end in reversed(last.tolist()):
        middle = (sinking[0] + sinking[end]) / 2
        above = int(np.searchsorted(sinking[: end + 1], middle, side="left"))
        answered = end + 1 - above >= _LEAST_BELOW * (end + 1)
        if answered and carries(float(right[end]), end + 1, precision):
            return float(falling[end])
    return CLOSED


def measured(model: PairModel, answered: Answered) -> PairModel:
    """Move the thresholds towards those measured on answers, weighted by their number.

    Labels change the probabilities of a model (`learn`), but the thresholds of a target precision were measured on
    other collections. A closed band opens where the answers alone carry the precision.

    Args:
        model: the new model.
        answered: the answers, with probabilities of a model that has not learned from them.
    """
    if not len(answered.stated):
        return model
    general = _moved(model.operating_points, answered.stated, answered.labels)
    if model.segments is None:
        return replace(model, operating_points=general)
    segments = {}
    for segment in SEGMENTS:
        stated, labels = answered.at(segment)
        moved = _moved(model.segments.get(segment, ()), stated, labels)
        segments[segment] = moved + _opened(moved, model.operating_points, stated, labels)
    return replace(model, operating_points=general, segments=segments)


def _moved(points: Points, stated: Floats, labels: Booleans) -> Points:
    """The moved points of an open band."""
    if not len(stated):
        return points
    found: list[OperatingPoint] = []
    for point in points:
        own = min(max(precision_threshold(stated, labels, point.precision), _LOWEST), _HIGHEST)
        counted = int((stated >= min(own, point.probability)).sum())
        share = counted / (counted + _HOLD_POINTS)
        moved = probability(np.array((1 - share) * _log_odds(point.probability) + share * _log_odds(own)))
        found.append(_above(found, point.precision, float(moved)))
    return tuple(found)


def _opened(points: Points, ladder: Points, stated: Floats, labels: Booleans) -> Points:
    """Points above those of a band, at the precisions of a ladder, that the answers alone carry."""
    found = list(points)
    for precision in [point.precision for point in ladder]:
        if measured_threshold(found, precision) is CLOSED:
            own = carried_threshold(stated, labels, precision)
            if own == CLOSED:
                break
            found.append(_above(found, precision, min(max(own, _LOWEST), _HIGHEST)))
    return tuple(found[len(points) :])


def _above(points: list[OperatingPoint], precision: float, probability_: float) -> OperatingPoint:
    """A point above the last of some points."""
    least = points[-1].probability + _LEAST_STEP if points else 0.0
    return OperatingPoint(precision, min(max(probability_, least), 1.0 - _LEAST_STEP))


def _log_odds(share: float) -> float:
    share = min(max(share, 1 - _HIGHEST), _HIGHEST)
    return log(share / (1 - share))


def f_threshold(probabilities: Floats, labels: Booleans, weights: Floats | None = None) -> float:
    """The threshold with the highest F1."""
    thresholds, precision, recall = _curve(probabilities, labels, weights)
    f = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[int(f.argmax())])


def _curve(probabilities: Floats, labels: Booleans | Floats, weights: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Every distinct probability as a threshold, descending, with its precision and recall."""
    mass = np.ones(len(probabilities)) if weights is None else weights
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    right, flagged = np.cumsum((mass * labels)[order]), np.cumsum(mass[order])
    last = np.append(falling[1:] != falling[:-1], True)
    return falling[last], (right / flagged)[last], (right / max(right[-1], 1e-12))[last]
