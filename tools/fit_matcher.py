"""Fit the model of pairs that ships with the package, and show how good it is where it was fitted to nothing.

    RECOMMENDER_TEST_DATA=... python -m tools.fit_matcher [--write] [--curve] [--json FILE]

Deterministic: the same data give the same model. Every set counts the same, with duplicates as one pair in ten; in two
fifths of the pairs the context is hidden and in a third the named fields, so that the model does not lean on what a
single pair, or a plain text, does not have. Test splits are not fitted to.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import recommender.matching.model as shipped
from recommender.matching.features import CONTEXT, FEATURES, FIELDS
from recommender.matching.learning import (
    Recipe,
    adapt,
    f_threshold,
    fit,
    learn,
    precision_threshold,
)
from recommender.matching.model import PairModel
from tools.labelled_sets import SETS, Embedder, LabelledSet, load

ROOT = Path(__file__).parents[1]
HELD_OUT = ("product_abt_buy", "product_amazon_google", "bugs_openoffice", "sample_products", "sample_tickets")
# Sets in which "the same" means something slightly else, or which hold no duplicates, count for less.
IMPORTANCE = {"neardup_mccormick": 0.3, "sts": 0.3, "intent_banking77": 0.3, "edited_copies": 0.3}
TARGET_PRECISION = 0.95
SHARE = 0.1
MOST_PAIRS = 5000
CONTEXT_HIDDEN, FIELDS_HIDDEN = 0.4, 0.3
SEED = 1
CURVE = (10, 30, 100, 300, 1000)
Sets = Mapping[str, LabelledSet]


def data_folder() -> Path:
    return Path(os.environ.get("RECOMMENDER_TEST_DATA", ROOT.parent / "shared" / "data"))


def cached_embedder() -> Embedder:
    return Embedder(Path(tempfile.gettempdir()) / "recommender-vectors")


def columns(names: Iterable[str]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def hide(rows: np.ndarray, names: Iterable[str], where: np.ndarray | slice = slice(None)) -> np.ndarray:
    """The rows without those features."""
    hidden = rows.copy()
    for column in columns(names):
        hidden[where, column] = np.nan
    return hidden


def balanced(labels: np.ndarray) -> np.ndarray:
    """Weights that sum to 1 with `SHARE` of them on duplicates, or on none where there are none."""
    same = labels.sum()
    if not same:
        return np.full(len(labels), (1 - SHARE) / len(labels))
    return np.where(labels, SHARE / same, (1 - SHARE) / (len(labels) - same))


def sampled(chosen: LabelledSet, *splits: str) -> np.ndarray:
    """All duplicates of the splits and a draw of the others."""
    pairs = chosen.split(*splits)
    same, different = pairs[chosen.labels[pairs]], pairs[~chosen.labels[pairs]]
    drawn = np.random.default_rng(SEED).permutation(different)
    return np.sort(np.concatenate([same, drawn[: max(MOST_PAIRS - len(same), len(same))]]))


def training(sets: Sequence[LabelledSet]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, labels and weights over several sets."""
    chosen = [sampled(one, "train", "valid") for one in sets]
    rows = np.concatenate([one.rows[pairs] for one, pairs in zip(sets, chosen, strict=True)])
    labels = np.concatenate([one.labels[pairs] for one, pairs in zip(sets, chosen, strict=True)])
    weights = np.concatenate(
        [IMPORTANCE.get(one.name, 1.0) * balanced(one.labels[pairs]) for one, pairs in zip(sets, chosen, strict=True)]
    )
    draw = np.random.default_rng(SEED)
    rows = hide(rows, CONTEXT, draw.random(len(rows)) < CONTEXT_HIDDEN)
    rows = hide(rows, FIELDS, draw.random(len(rows)) < FIELDS_HIDDEN)
    return rows, labels, weights


def without(sets: Sets, name: str) -> PairModel:
    """Fitted to every set but one."""
    return fit(*training([one for one in sets.values() if one.name != name]))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(labels[order])
    precision = right / np.arange(1, len(labels) + 1)
    return float(precision[labels[order]].mean())


def f1(labels: np.ndarray, flagged: np.ndarray) -> float:
    return float(2 * (labels & flagged).sum() / max(labels.sum() + flagged.sum(), 1))


def best_f1(labels: np.ndarray, scores: np.ndarray) -> float:
    return f1(labels, scores >= f_threshold(scores, labels))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Mean distance of stated and true share over ten equal bins, weighted by their pairs."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    return sum(
        float(abs(labels[place == one].mean() - probabilities[place == one].mean()) * (place == one).mean())
        for one in range(bins)
        if (place == one).any()
    )


def figures(model: PairModel, rows: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """What a model is worth on labelled pairs; ``f1`` is at ``threshold``, precision and recall at its own band."""
    stated = model.probabilities(rows)
    flagged = stated >= model.duplicate_from
    return {
        "best_f1": best_f1(labels, stated),
        "average_precision": average_precision(labels, stated),
        "f1": f1(labels, stated >= threshold),
        "expected_calibration_error": expected_calibration_error(labels, stated),
        "duplicate_precision": float(labels[flagged].mean()) if flagged.any() else float("nan"),
        "duplicate_recall": float(labels[flagged].sum() / labels.sum()),
        "found_recall": float(labels[stated >= model.review_from].sum() / labels.sum()),
    }


def bands(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """``duplicate`` from the target precision, ``review`` from where F2 is best: missing one costs more than a look.

    Both on sets the model was not fitted to, every set counted alike and duplicates as one pair in ten. Where they are
    rarer, precision is lower; where labels are missing (of the twelve surest "errors" on Amazon-Google eleven read like
    one product) it is higher. What it was on each set stands in the report and in the model's file.
    """
    duplicate = precision_threshold(probabilities, labels, TARGET_PRECISION, weights)
    review = f_threshold(probabilities, labels, beta=2.0, weights=weights)
    return {"duplicate_from": round(duplicate, 3), "review_from": round(min(review, duplicate), 3)}


def held_out(sets: Sets) -> tuple[dict[str, dict[str, Any]], dict[str, PairModel]]:
    """Each set judged by a model of all others, whose bands come from the other sets held out in turn."""
    models = {name: without(sets, name) for name in HELD_OUT}
    judged = {name: sets[name].split("train", "valid") for name in HELD_OUT}
    stated = {name: models[name].probabilities(sets[name].rows[judged[name]]) for name in HELD_OUT}
    report: dict[str, dict[str, Any]] = {}
    for name in HELD_OUT:
        rest = [other for other in HELD_OUT if other != name]
        model = replace(models[name], **_pooled_bands(sets, judged, stated, rest))
        models[name] = model
        one = sets[name]
        # The samples are small: with nothing fitted to them, all of them is a test.
        test = one.split("test") if not name.startswith("sample") else np.arange(len(one.labels))
        rows, labels = one.rows[test], one.labels[test]
        report[name] = {
            "pairs": len(test),
            "same": int(labels.sum()),
            "cosine_best_f1": best_f1(labels, one.cosine[test]),
            "tfidf_best_f1": best_f1(labels, one.tfidf[test]),
            "with_context": figures(model, rows, labels),
            "pairs_alone": figures(model, hide(rows, CONTEXT), labels),
            "bands": {"duplicate_from": model.duplicate_from, "review_from": model.review_from},
        }
    return report, models


def _pooled_bands(
    sets: Sets, judged: Mapping[str, np.ndarray], stated: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, float]:
    labels = {name: sets[name].labels[judged[name]] for name in names}
    return bands(
        np.concatenate([stated[name] for name in names]),
        np.concatenate([labels[name] for name in names]),
        np.concatenate([balanced(labels[name]) for name in names]),
    )


def default_model(sets: Sets, held_out_models: Mapping[str, PairModel]) -> PairModel:
    """Fitted to all sets; its bands are those that held on sets the model had not seen."""
    judged = {name: sets[name].split("train", "valid") for name in HELD_OUT}
    stated = {name: held_out_models[name].probabilities(sets[name].rows[judged[name]]) for name in HELD_OUT}
    return replace(fit(*training(list(sets.values()))), **_pooled_bands(sets, judged, stated, HELD_OUT))


def learned(one: LabelledSet, start: PairModel) -> dict[str, Any]:
    """Learned on the train split, threshold from valid, judged on test; with the other candidates in view, and not."""
    report = {}
    for view, rows in (("with_context", one.rows), ("pairs_alone", hide(one.rows, CONTEXT))):
        train, valid, test = (one.split(name) for name in ("train", "valid", "test"))
        model = learn(start, rows[train], one.labels[train])
        stated = model.probabilities(rows[valid])
        model = replace(model, duplicate_from=precision_threshold(stated, one.labels[valid], TARGET_PRECISION))
        threshold = f_threshold(stated, one.labels[valid])
        report[view] = figures(model, rows[test], one.labels[test], threshold)
    return report


def curve(one: LabelledSet, start: PairModel) -> dict[int, dict[str, float]]:
    """What so many labelled pairs, drawn at random, are worth."""
    train, test = one.split("train"), one.split("test")
    drawn = np.random.default_rng(SEED).permutation(train)
    points = {0: figures(start, one.rows[test], one.labels[test])}
    for count in CURVE:
        pairs = drawn[:count]
        model = adapt(start, one.rows[pairs], one.labels[pairs])
        points[count] = figures(model, one.rows[test], one.labels[test])
    return points


def shown(name: str, said: Mapping[str, float]) -> str:
    return (
        f"{name:44s} best F1 {said['best_f1']:.3f}  AP {said['average_precision']:.3f}  F1 {said['f1']:.3f}"
        f"  ECE {said['expected_calibration_error']:.3f}  duplicate: P {said['duplicate_precision']:.2f}"
        f" R {said['duplicate_recall']:.2f}  with review: R {said['found_recall']:.2f}"
    )


def about(sets: Sets, report: Mapping[str, Any]) -> dict[str, Any]:
    """The documentation of the fit, as it stands in the model's file."""
    recipe = Recipe()
    return {
        "script": "tools/fit_matcher.py",
        "date": datetime.now(UTC).date().isoformat(),
        "splits": "fitted to train and valid; test was not used",
        "pairs": {
            name: {"pairs": len(pairs), "same": int(one.labels[pairs].sum())}
            for name, one in sets.items()
            for pairs in [sampled(one, "train", "valid")]
        },
        "recipe": {"l2": recipe.l2, "trees": recipe.growth.trees, "depth": recipe.growth.depth, "share": SHARE},
        "target_precision": TARGET_PRECISION,
        "held_out_test": {
            name: {
                "best_f1": round(one["with_context"]["best_f1"], 3),
                "average_precision": round(one["with_context"]["average_precision"], 3),
                "expected_calibration_error": round(one["with_context"]["expected_calibration_error"], 3),
                "duplicate_precision": round(one["with_context"]["duplicate_precision"], 3),
                "duplicate_recall": round(one["with_context"]["duplicate_recall"], 3),
            }
            for name, one in report.items()
        },
    }


def write(model: PairModel, said: Mapping[str, Any]) -> Path:
    path = Path(shipped.__file__).with_name(shipped.DEFAULT_FILE)
    path.write_text(json.dumps({"about": said, **model.to_json()}, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the model that ships with the package")
    parser.add_argument("--curve", action="store_true", help="show what 10 to 1,000 labelled pairs are worth")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    options = parser.parse_args()
    embed = cached_embedder()
    sets = {name: load(name, data_folder(), embed) for name in SETS}
    report, models = held_out(sets)
    for name, one in report.items():
        print(f"{name}: {one['same']} of {one['pairs']} pairs are the same; best F1 of cosine", end=" ")
        print(f"{one['cosine_best_f1']:.3f}, of TF-IDF {one['tfidf_best_f1']:.3f}; bands {one['bands']}")
        print(shown("  no label of this set, other candidates seen", one["with_context"]))
        print(shown("  no label of this set, pairs alone", one["pairs_alone"]))
        if not name.startswith("sample"):
            one["learned"] = learned(sets[name], models[name])
            print(shown("  learned, other candidates seen", one["learned"]["with_context"]))
            print(shown("  learned, pairs alone", one["learned"]["pairs_alone"]))
            if options.curve:
                one["curve"] = curve(sets[name], models[name])
                for count, said in one["curve"].items():
                    print(shown(f"  {count:,} labelled pairs", said))
    model = default_model(sets, models)
    print(f"shipped: duplicate from {model.duplicate_from}, review from {model.review_from}")
    for name, one in sets.items():
        test = one.split("test")
        if one.labels[test].any():
            print(shown(f"  shipped on {name}, test", figures(model, one.rows[test], one.labels[test])))
    if options.write:
        print(write(model, about(sets, report)))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
