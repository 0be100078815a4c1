"""Teach the shipped model features that came after its fit, and leave everything else of it as it is.

    RECOMMENDER_TEST_DATA=... python -m tools.widen_matcher [--write]

A fit of all features to all sets loses where it was not fitted to (ADR 39 has the figures). Here the log-odds of the
model are given, and only the weights of `LATER` are found on top of them: by penalised logistic regression, with an
intercept for each set, so that how often things repeat in a set does not count as evidence. A weight against the sign
of its feature is set to none. Fitted to train and valid splits; sets of which the model never saw a pair stay so.
Deterministic: the same data give the same weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

import recommender_engine.matching.model.pair_model as shipped
from recommender_engine.evaluation.metrics import best_f1
from recommender_engine.matching import PairModel, default_model
from recommender_engine.matching.features.table import CONTEXT, FEATURES, MONOTONE
from recommender_engine.matching.model.logistic import Logistic, newton
from tools.fit_matcher import IMPORTANCE, cached_embedder, data_folder, hide, training
from tools.labelled_sets import LabelledSet, load

LATER = ("longest_code_shared", "longest_codes_differ")
SETS = ("product_abt_buy", "product_amazon_google", "sample_products", "sample_tickets", "edited_copies")
# A feature of signs of a code goes from 0 to 12; a model reads no figure beyond four of its scale.
SCALE = 4.0
# All sets together count as so many pairs, against a normal prior of this precision on each weight.
PAIRS, HOLD, HOLD_FIRMLY = 3000.0, 3.0, 1e9


def without(model: PairModel, names: Sequence[str]) -> PairModel:
    """The model before it read some features, which have to be its last ones."""
    kept = tuple(name for name in model.features if name not in names)
    if kept != model.features[: len(kept)] or (model.trees.features >= len(kept)).any():
        raise ValueError("trees read them, or they are not the last ones")
    count, linear = len(model.features), model.logistic

    def cut(figures: np.ndarray) -> np.ndarray:
        return np.concatenate([figures[: len(kept)], figures[count : count + len(kept)]])

    narrow = Logistic(
        linear.typical[: len(kept)], cut(linear.mean), cut(linear.scale), cut(linear.weights), linear.bias
    )
    return replace(model, features=kept, logistic=narrow)


def widened(model: PairModel, weights: Mapping[str, float]) -> PairModel:
    """The model with further features behind the others.

    Args:
        model: that reads none of them.
        weights: log-odds of one more of each feature.
    """
    names = tuple(weights)
    linear = model.logistic.widened(np.zeros(len(names)), np.full(len(names), SCALE))
    # The model averages its two parts, so what is added to one of them is doubled.
    added = 2 * SCALE * np.array([weights[name] for name in names])
    places = len(model.features) + np.arange(len(names))
    linear.weights[places] = added
    return replace(model, features=(*model.features, *names), logistic=linear)


def weights_on_top(model: PairModel, sets: Sequence[LabelledSet]) -> dict[str, float]:
    """What one more of each of `LATER` adds to the log-odds of a model that reads none of them."""
    columns = [FEATURES.index(name) for name in LATER]
    designs, labels, masses = [], [], []
    for place, one in enumerate(sets):
        rows, same, mass = training([one])
        own = np.zeros((len(rows), len(sets)))
        own[:, place] = 1.0
        designs.append(np.hstack([np.nan_to_num(rows[:, columns]), model.log_odds(rows)[:, None], own]))
        labels.append(same)
        masses.append(mass * IMPORTANCE.get(one.name, 1.0) / mass.sum())
    mass = np.concatenate(masses)
    hold = np.array([HOLD] * len(LATER) + [HOLD_FIRMLY] + [1e-3] * len(sets))
    start = np.array([0.0] * len(LATER) + [1.0] + [0.0] * len(sets))
    found = newton(np.concatenate(designs), np.concatenate(labels), PAIRS * mass / mass.sum(), hold, start)
    weights = dict(zip(LATER, found.tolist(), strict=False))
    return {name: round(weight, 4) if weight * MONOTONE[name] > 0 else 0.0 for name, weight in weights.items()}


def write(model: PairModel, weights: Mapping[str, float]) -> Path:
    path = Path(shipped.__file__).with_name(shipped.DEFAULT_FILE)
    said = json.loads(path.read_text(encoding="utf-8"))
    later = {"script": "tools/widen_matcher.py", "sets": list(SETS), "weights": dict(weights)}
    whole = {"about": {**said["about"], "later": later}, **widened(model, weights).to_json()}
    path.write_text(json.dumps(whole, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def told(one: LabelledSet, model: PairModel) -> str:
    """Average precision and best F1 of a set's test split, of a sample all of it; with others in view, and alone."""
    test = np.arange(len(one.labels)) if one.name.startswith("sample") else one.split("test")
    labels, said = one.labels[test], []
    for rows in (one.rows[test], hide(one.rows[test], CONTEXT)):
        stated = model.probabilities(rows)
        said.append(f"{average_precision_score(labels, stated):.3f} {best_f1(labels, stated)[0]:.3f}")
    return " / ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the weights into the model that ships")
    options = parser.parse_args()
    base = without(default_model(), LATER)
    sets = [load(name, data_folder(), cached_embedder()) for name in SETS]
    for one in sets:
        found = weights_on_top(base, [other for other in sets if other is not one])
        print(f"{one.name:22s} before {told(one, base)}, left out {told(one, widened(base, found))}, by {found}")
    found = weights_on_top(base, sets)
    print(f"all sets: {found}")
    if options.write:
        print(write(base, found))


if __name__ == "__main__":
    main()
