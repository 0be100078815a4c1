"""Logistic regression on features with missing values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender_engine.matching.trees import Booleans, Floats

# Features are clipped at this many standard deviations: another domain may be far from the training data.
_FARTHEST = 4.0
_STEPS = 50
_CLOSE_ENOUGH = 1e-8
_CERTAIN = 30.0  # log-odds


@dataclass(frozen=True, slots=True)
class Logistic:
    """Weights of standardised features and of their missing-value indicators.

    Attributes:
        typical: replaces a missing value; the median of each feature, shape (features,).
        mean: of each feature and then of each indicator, shape (2 * features,).
        scale: standard deviation, same shape.
        weights: of the standardised figures, same shape.
        bias: log-odds of an average row.
    """

    typical: Floats
    mean: Floats
    scale: Floats
    weights: Floats
    bias: float

    def log_odds(self, rows: Floats) -> Floats:
        """Log-odds of each row; ``rows`` has shape (n, features), NaN where a value is missing."""
        sums: Floats = self.standardised(rows) @ self.weights
        return sums + self.bias

    def standardised(self, rows: Floats) -> Floats:
        """The standardised inputs, shape (n, 2 * features)."""
        return _standardised(rows, self.typical, self.mean, self.scale)

    def widened(self, typical: Floats, scale: Floats) -> Logistic:
        """A copy with further features at the end, with weight 0.

        Args:
            typical: of each further feature, shape (further,); also its mean.
            scale: the same shape, positive.
        """
        count, none = len(self.typical), np.zeros(len(typical))

        def put(figures: Floats, values: Floats, missing: Floats) -> Floats:
            return np.concatenate([figures[:count], values, figures[count:], missing])

        return Logistic(
            typical=np.append(self.typical, typical),
            mean=put(self.mean, typical, none),
            scale=put(self.scale, scale, none + 1.0),
            weights=put(self.weights, none, none),
            bias=self.bias,
        )


def regress(rows: Floats, labels: Booleans, weights: Floats, l2: float) -> Logistic:
    """Fit by Newton's method.

    Args:
        rows: shape (n, features), NaN where a value is missing.
        labels: shape (n,).
        weights: shape (n,), positive.
        l2: penalty on the squares of the weights; the bias has none.
    """
    known = [column[~np.isnan(column)] for column in rows.T]
    typical = np.array([np.median(column) if len(column) else 0.0 for column in known])
    everything = _with_missing(rows, typical)
    mean, scale = everything.mean(axis=0), everything.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.hstack([_standardised(rows, typical, mean, scale), np.ones((len(rows), 1))])
    penalty = np.full(design.shape[1], l2)
    penalty[-1] = 1e-6
    found = newton(design, labels, weights, penalty, np.zeros(design.shape[1]))
    return Logistic(typical, mean, scale, found[:-1], float(found[-1]))


def newton(design: Floats, labels: Booleans, weights: Floats, penalty: Floats, start: Floats) -> Floats:
    """Coefficients that minimise the weighted logistic loss plus half of ``penalty`` times squared distance from start.

    Newton's method with step halving: from a distant start, a full step can diverge.

    Args:
        design: shape (n, coefficients).
        labels: shape (n,).
        weights: of the rows, shape (n,), positive.
        penalty: of each coefficient, positive.
        start: mean of the prior, and start of the iteration.
    """
    signs = np.where(labels, 1.0, -1.0)

    def loss(coefficients: Floats) -> float:
        away = coefficients - start
        return float(weights @ np.logaddexp(0.0, -signs * (design @ coefficients)) + penalty @ away**2 / 2)

    found, reached = start.copy(), loss(start)
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(design @ found, -_CERTAIN, _CERTAIN)))
        slope = design.T @ (weights * (labels - probability)) - penalty * (found - start)
        curvature = (design * (weights * probability * (1 - probability))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        better = loss(found + step)
        while better > reached and np.abs(step).max() > _CLOSE_ENOUGH:
            step /= 2
            better = loss(found + step)
        if better >= reached:
            break
        found, reached = found + step, better
    return found


def _with_missing(rows: Floats, typical: Floats) -> Floats:
    missing = np.isnan(rows)
    return np.hstack([np.where(missing, typical, rows), missing])


def _standardised(rows: Floats, typical: Floats, mean: Floats, scale: Floats) -> Floats:
    return np.clip((_with_missing(rows, typical) - mean) / scale, -_FARTHEST, _FARTHEST)
