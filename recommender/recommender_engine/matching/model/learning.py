"""Fitting models of pairs to labels, adapting one to a few answers, and choosing where bands begin."""

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
from recommender_engine.matching.pair.segments import SEGMENTS
from recommender_engine.matching.trees import Booleans, Floats

# How long duplicates keep coming differs from one collection to the next: bug reports repeat what is new, a catalogue
# anything. So the shipped model reads none of what only a collection's own answers teach.
_OWN = {one.name: one.usual for one in TABLE if one.usual is not None}
UNIVERSAL = tuple(name for name in FEATURES if name not in _OWN)

# From so many labelled pairs on, and so many of the rarer kind, a model of the collection's own beats an adapted one.
# Both, like the penalties below, from learning curves on three sets held out (tools/fit_matcher.py --curve).
OWN_MODEL_FROM = 1000
OWN_MODEL_FROM_RARER = 100
_GROWTH = Growth(trees=100, l2=20.0, columns=0.4)
_OWN_L2 = 5.0
_OWN_GROWTH = Growth(trees=200, columns=0.5)

# How firmly adapting holds on to the model it starts from.
_HOLD_WEIGHTS = 30.0
_HOLD_SLOPE = 10.0
_HOLD_INTERCEPT = 2.0
_LEAST_SLOPE = 0.05
# One pair of so many of each kind is held out to find how sure a fit to the others may be.
_PARTS = 4
# In so many parts answers are held out to find where bands begin.
_PARTS_HELD_OUT = 5
# How many answers weigh as much as the sets that the shipped thresholds come from.
_HOLD_POINTS = 100
# So large a share of the answers that open a band lies in the lower half of what it opens.
_LEAST_BELOW = 0.25
# People answer what they come across: where only duplicates were confirmed, precision says nothing about the rest.
_LOWEST, _HIGHEST, _LEAST_STEP = 0.5, 0.9995, 1e-6


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to fit a model.

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
        labels: shape (n,), true where the two are the same thing; both must occur.
        weights: shape (n,), positive; only their proportions count.
        recipe: by default that of the shipped model.

    Raises:
        ValueError: all labels are the same.
    """
    how = recipe or Recipe()
    if labels.all() or not labels.any():
        raise ValueError("to learn from pairs takes both: some that are the same and some that are not")
    mass = np.ones(len(rows)) if weights is None else weights / weights.mean()
    chosen = rows[:, [FEATURES.index(name) for name in how.features]]
    monotone = [MONOTONE[name] for name in how.features]
    return PairModel(
        features=how.features,
        logistic=regress(chosen, labels, mass, how.l2),
        trees=grow(chosen, labels, mass, monotone, how.growth),
    )


def adapt(model: PairModel, rows: Floats, labels: Booleans) -> PairModel:
    """Move a model's linear part and calibration towards labelled pairs, the further the more there are.

    The maximum a posteriori estimate under a normal prior around the model: no pairs change nothing, ten change
    little. What only a collection teaches, as far as the pairs have it, begins with no weight.

    Args:
        model: where to start, usually the shipped one.
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,).
    """
    model = _widened(model, _own(model, rows))
    standardised = model.standardised(rows)
    count = standardised.shape[1]
    design = np.hstack([standardised, model.raw_log_odds(rows)[:, None], np.ones((len(rows), 1))])
    start = np.append(np.zeros(count), [model.slope, model.intercept])
    hold = np.append(np.full(count, _HOLD_WEIGHTS), [_HOLD_SLOPE, _HOLD_INTERCEPT])
    found = newton(design, labels, np.ones(len(rows)), hold, start)
    slope = max(float(found[-2]), _LEAST_SLOPE)
    # The model averages two parts and multiplies by the slope, so what is added to one part is divided by both.
    logistic = replace(model.logistic, weights=model.logistic.weights + 2 * found[:-2] / slope)
    return replace(model, logistic=logistic, slope=slope, intercept=float(found[-1]))


def learn(model: PairModel, rows: Floats, labels: Booleans) -> PairModel:
    """The best model for a collection of which some pairs are labelled: adapted while they are few, then its own.

    Bands stay where they are; see `precision_threshold`.

    Args:
        model: where to start, usually the shipped one.
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,).
    """
    if not _is_own(labels):
        return adapt(model, rows, labels)
    recipe = Recipe(_OWN_L2, _OWN_GROWTH, _readable(model, rows))
    slope, intercept = _calibration(rows, labels, recipe)
    own = replace(fit(rows, labels, recipe=recipe), slope=slope, intercept=intercept)
    return replace(own, operating_points=model.operating_points, review_from=model.review_from, places=model.places)


def held_out(model: PairModel, rows: Floats, labels: Booleans, stated: Floats) -> Floats:
    """Probability of each pair by what the other answers teach, shape (n,): on the scale of the model that judges now.

    What was stated before an answer is on the scale of a model that had learned from those before it alone, and a band
    would begin where today's model states other pairs. A model of the collection's own hardly moves any more: there
    what was stated stands.

    Args:
        model: where to start, usually the shipped one.
        rows: shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,).
        stated: of each pair before it was answered, shape (n,).
    """
    if _is_own(labels):
        return stated
    found = np.empty(len(labels))
    for part in range(_PARTS_HELD_OUT):
        held = np.arange(len(labels)) % _PARTS_HELD_OUT == part
        if held.any():
            found[held] = adapt(model, rows[~held], labels[~held]).probabilities(rows[held])
    return found


def _is_own(labels: Booleans) -> bool:
    """Whether a collection has answers enough for a model of its own."""
    same = int(labels.sum())
    return len(labels) >= OWN_MODEL_FROM and min(same, len(labels) - same) >= OWN_MODEL_FROM_RARER


def _calibration(rows: Floats, labels: Booleans, recipe: Recipe) -> tuple[float, float]:
    """Slope and intercept with which log-odds of a fit mean what they say: its two parts shrink, the more so together.

    Found where a fit to the other pairs has seen nothing (Platt 1999), held to slope 1 and intercept 0 as in `adapt`.
    """
    held = np.where(labels, np.cumsum(labels), np.cumsum(~labels)) % _PARTS == 0  # of both kinds, in whatever order
    fitted = fit(rows[~held], labels[~held], recipe=recipe)
    design = np.stack([fitted.raw_log_odds(rows[held]), np.ones(int(held.sum()))], axis=1)
    hold, start = np.array([_HOLD_SLOPE, _HOLD_INTERCEPT]), np.array([1.0, 0.0])
    slope, intercept = newton(design, labels[held], np.ones(len(design)), hold, start).tolist()
    return max(slope, _LEAST_SLOPE), intercept


def _readable(model: PairModel, rows: Floats) -> tuple[str, ...]:
    """Features of a model that is fitted anew: those of the old one, and all that the rows have besides."""
    unread = (name for name in FEATURES if name not in model.features)
    return (*model.features, *(name for name in unread if not np.isnan(rows[:, FEATURES.index(name)]).all()))


def _own(model: PairModel, rows: Floats) -> tuple[str, ...]:
    """Features that only a collection itself can teach, as far as the rows have them and the model does not."""
    known = (name for name in _OWN if name not in model.features)
    return tuple(name for name in known if not np.isnan(rows[:, FEATURES.index(name)]).all())


def _widened(model: PairModel, names: tuple[str, ...]) -> PairModel:
    """The same model, which also reads these of `_OWN` and makes nothing of them."""
    figures = np.array([_OWN[name] for name in names]).reshape(-1, 2)
    return replace(
        model, features=(*model.features, *names), logistic=model.logistic.widened(figures[:, 0], figures[:, 1])
    )


def precision_threshold(
    probabilities: Floats, labels: Booleans | Floats, target: float, weights: Floats | None = None
) -> float:
    """The lowest probability from which precision is at least ``target``; 1 where there is none.

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
    """The lowest probability from which the pairs carry a precision (`carries`); `CLOSED` where there is none.

    It is no lower than where pairs were answered: a quarter of those from there on lie in the lower half of their range
    of log-odds. An even sample of what is stated has more there; a few stray answers far below the others have not,
    and say nothing of what lies between.

    Args:
        probabilities: shape (n,).
        labels: shape (n,), or the share that is believed to be right.
        precision: in (0, 1).
    """
    order = np.argsort(-probabilities, kind="stable")
    falling, right = probabilities[order], np.cumsum(labels[order])
    bounded = np.clip(falling, 1 - _HIGHEST, _HIGHEST)
    sinking = np.log((1 - bounded) / bounded)  # rises as probabilities fall
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else order
    for place in reversed(last.tolist()):
        middle = (sinking[0] + sinking[place]) / 2
        above = int(np.searchsorted(sinking[: place + 1], middle, side="left"))
        answered = place + 1 - above >= _LEAST_BELOW * (place + 1)
        if answered and carries(float(right[place]), place + 1, precision):
            return float(falling[place])
    return CLOSED


def measured(model: PairModel, answered: Answered) -> PairModel:
    """Move where bands begin towards what answers have shown, the further the more of them speak to it.

    Labels move the probabilities of a model (`learn`), but the thresholds behind a target precision were measured on
    other collections. A band that is closed there opens where the answers themselves carry the precision.

    Args:
        model: the one that judges from now on.
        answered: the answers, with what a model stated that had not learned from them.
    """
    if not len(answered.stated):
        return model
    general = _moved(model.operating_points, answered.stated, answered.labels)
    if model.places is None:
        return replace(model, operating_points=general)
    places = {}
    for place in SEGMENTS:
        stated, labels = answered.at(place)
        moved = _moved(model.places.get(place, ()), stated, labels)
        places[place] = moved + _opened(moved, model.operating_points, stated, labels)
    return replace(model, operating_points=general, places=places)


def _moved(points: Points, stated: Floats, labels: Booleans) -> Points:
    """The points of a band that is open, as far as it is."""
    if not len(stated):
        return points
    found: list[OperatingPoint] = []
    for point in points:
        own = min(max(precision_threshold(stated, labels, point.precision), _LOWEST), _HIGHEST)
        speaking = int((stated >= min(own, point.probability)).sum())
        share = speaking / (speaking + _HOLD_POINTS)
        moved = probability(np.array((1 - share) * _log_odds(point.probability) + share * _log_odds(own)))
        found.append(_above(found, point.precision, float(moved)))
    return tuple(found)


def _opened(open_: Points, ladder: Points, stated: Floats, labels: Booleans) -> Points:
    """The points above those of a band, at the precisions of a ladder, that the answers alone carry."""
    found = list(open_)
    for precision in [point.precision for point in ladder]:
        if measured_threshold(found, precision) is CLOSED:
            own = carried_threshold(stated, labels, precision)
            if own == CLOSED:
                break
            found.append(_above(found, precision, min(max(own, _LOWEST), _HIGHEST)))
    return tuple(found[len(open_) :])


def _above(points: list[OperatingPoint], precision: float, probability_: float) -> OperatingPoint:
    """A point that rises above those before it."""
    least = points[-1].probability + _LEAST_STEP if points else 0.0
    return OperatingPoint(precision, min(max(probability_, least), 1.0 - _LEAST_STEP))


def _log_odds(share: float) -> float:
    share = min(max(share, 1 - _HIGHEST), _HIGHEST)
    return log(share / (1 - share))


def f_threshold(probabilities: Floats, labels: Booleans, weights: Floats | None = None) -> float:
    """The probability from which F1 is highest."""
    thresholds, precision, recall = _curve(probabilities, labels, weights)
    f = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[int(f.argmax())])


def _curve(probabilities: Floats, labels: Booleans | Floats, weights: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Every distinct probability as a threshold, falling, with its precision and recall."""
    mass = np.ones(len(probabilities)) if weights is None else weights
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    right, flagged = np.cumsum((mass * labels)[order]), np.cumsum(mass[order])
    last = np.append(falling[1:] != falling[:-1], True)
    return falling[last], (right / flagged)[last], (right / max(right[-1], 1e-12))[last]
