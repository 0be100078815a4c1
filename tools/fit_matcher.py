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
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

import recommender_engine.matching.model.pair_model as shipped
from recommender_engine.evaluation.metrics import best_f1, expected_calibration_error, operating
from recommender_engine.matching.features.table import CONTEXT, FEATURES, FIELDS
from recommender_engine.matching.model.learning import Recipe, adapt, f_threshold, fit, learn, precision_threshold
from recommender_engine.matching.model.operating_points import OperatingPoint
from recommender_engine.matching.model.pair_model import PairModel
from tools.labelled_sets import SETS, Embedder, LabelledSet, load
from tools.streams import StreamFigures, runs, stream_figures

ROOT = Path(__file__).parents[1]
HELD_OUT = (
    "product_abt_buy",
    "product_amazon_google",
    "product_wdc_computers",
    "product_wdc_cameras",
    "music_musicbrainz",
    "bugs_openoffice",
    "bugs_hadoop",
    "sample_products",
    "sample_tickets",
)
# Sets that are left out together, since they come from the same shops.
DOMAINS = {"product_wdc_computers": "product_wdc", "product_wdc_cameras": "product_wdc"}
# Sets in which "the same" means something slightly else, or which hold no duplicates, count for less.
IMPORTANCE = {"neardup_mccormick": 0.3, "sts": 0.3, "intent_banking77": 0.3, "edited_copies": 0.3}
TARGET_PRECISION = 0.95
PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
# A probability above is out of reach.
HIGHEST, LEAST_STEP = 0.999, 0.0001
# Probabilities mean what they say on sets that a model was not fitted to (`expected_calibration_error` below), so this
# says itself what a look is worth where it is worth least: missing a duplicate may cost three looks in vain.
REVIEW_FROM = 0.25
# Of "errors" of a model without these labels, drawn from this probability up and read, so many are plainly duplicates
# that nobody linked.
READ_FROM = 0.75
MISSED = {"bugs_openoffice": 17 / 50, "bugs_hadoop": 6 / 30, "product_amazon_google": 11 / 12}
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
    weights: np.ndarray = np.where(labels, SHARE / same, (1 - SHARE) / (len(labels) - same))
    return weights


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
    """Fitted to every set of another domain."""
    domain = DOMAINS.get(name, name)
    return fit(*training([one for one in sets.values() if DOMAINS.get(one.name, one.name) != domain]))


def figures(model: PairModel, rows: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """What a model is worth on labelled pairs; ``f1`` is at ``threshold``, precision and recall at its own band."""
    stated = model.probabilities(rows)
    flagged = stated >= model.duplicate_threshold(TARGET_PRECISION)
    return {
        "best_f1": best_f1(labels, stated)[0],
        "average_precision": float(average_precision_score(labels, stated)),
        "f1": operating(labels, stated, threshold).f1 or 0.0,
        "expected_calibration_error": expected_calibration_error(labels, stated),
        "duplicate_precision": float(labels[flagged].mean()) if flagged.any() else float("nan"),
        "duplicate_recall": float(labels[flagged].sum() / labels.sum()),
        "found_recall": float(labels[stated >= model.review_from].sum() / labels.sum()),
    }


def acted_on(one: LabelledSet, stated: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Of a stream, the most probable pair of each item: that is what an item is flagged with. Else all pairs."""
    if one.source.groups is None:
        return pairs
    best = np.zeros(len(stated), bool)
    best[[start + int(stated[start:end].argmax()) for start, end in runs(one.source.pairs)]] = True
    chosen: np.ndarray = pairs[best[pairs]]
    return chosen


class Judged(NamedTuple):
    """Pairs of a set as a model that was not fitted to it sees them."""

    name: str
    stated: np.ndarray
    labels: np.ndarray

    def believed(self) -> np.ndarray:
        """The labels, with what a reader found of the surest errors: each counts as the share that is none."""
        missed = np.where(self.stated >= READ_FROM, MISSED.get(self.name, 0.0), 0.0)
        believed: np.ndarray = np.where(self.labels, 1.0, missed)
        return believed


def operating_points(judged: Sequence[Judged]) -> tuple[OperatingPoint, ...]:
    """From which probability on sets that the model was not fitted to had which precision.

    The median over the sets: where labels are missing (of the twelve surest "errors" on Amazon-Google eleven read like
    one product) a set asks for more than any model can state, and one easy set must not speak for all.
    """
    points: list[OperatingPoint] = []
    for precision in PRECISIONS:
        found = float(np.median([precision_threshold(one.stated, one.believed(), precision) for one in judged]))
        if found >= HIGHEST:
            break
        least = points[-1].probability + LEAST_STEP if points else 0.0
        points.append(OperatingPoint(precision, round(max(found, least), 4)))
    return tuple(points)


def bands(judged: Sequence[Judged]) -> dict[str, Any]:
    """``duplicate`` by target precision, ``review`` from where one look in four finds a duplicate."""
    return {"operating_points": operating_points(judged), "review_from": REVIEW_FROM}


def judged_by(model: PairModel, one: LabelledSet) -> Judged:
    """What a model makes of a set's train and valid splits."""
    stated = model.probabilities(one.rows)
    pairs = acted_on(one, stated, one.split("train", "valid"))
    return Judged(one.name, stated[pairs], one.labels[pairs])


def held_out(sets: Sets) -> tuple[dict[str, dict[str, Any]], dict[str, PairModel]]:
    """Each set judged by a model of all others, whose bands come from the other sets held out in turn."""
    models = {name: without(sets, name) for name in HELD_OUT}
    judged = {name: judged_by(models[name], sets[name]) for name in HELD_OUT}
    report: dict[str, dict[str, Any]] = {}
    for name in HELD_OUT:
        model = replace(models[name], **bands([judged[other] for other in HELD_OUT if other != name]))
        models[name] = model
        one = sets[name]
        # The samples are small: with nothing fitted to them, all of them is a test.
        test = one.split("test") if not name.startswith("sample") else np.arange(len(one.labels))
        rows, labels = one.rows[test], one.labels[test]
        report[name] = {
            "pairs": len(test),
            "same": int(labels.sum()),
            "cosine_best_f1": best_f1(labels, one.cosine[test])[0],
            "tfidf_best_f1": best_f1(labels, one.tfidf[test])[0],
            "with_context": figures(model, rows, labels),
            "pairs_alone": figures(model, hide(rows, CONTEXT), labels),
            "bands": {"duplicate_from": model.duplicate_threshold(TARGET_PRECISION), "review_from": model.review_from},
        }
        if one.source.groups is not None:
            report[name]["stream"] = asdict(as_stream(one, model))
    return report, models


def as_stream(one: LabelledSet, model: PairModel, *splits: str) -> StreamFigures:
    """Figures of a stream, of all items or of those of some splits."""
    groups = one.source.groups
    if groups is None:
        raise ValueError(f"{one.name} is not a stream")
    judged = np.unique(one.source.pairs[one.split(*splits), 0]) if splits else None
    duplicate = model.duplicate_threshold(TARGET_PRECISION)
    stated = model.probabilities(one.rows)
    return stream_figures(one.source.pairs, groups, stated, duplicate, model.review_from, judged)


def default_model(sets: Sets, held_out_models: Mapping[str, PairModel]) -> PairModel:
    """Fitted to all sets; its bands are those that held on sets the model had not seen."""
    judged = [judged_by(held_out_models[name], sets[name]) for name in HELD_OUT]
    return replace(fit(*training(list(sets.values()))), **bands(judged))


def learned(one: LabelledSet, start: PairModel) -> dict[str, Any]:
    """Learned on the train split, threshold from valid, judged on test; with the other candidates in view, and not."""
    report = {}
    for view, rows in (("with_context", one.rows), ("pairs_alone", hide(one.rows, CONTEXT))):
        train, valid, test = (one.split(name) for name in ("train", "valid", "test"))
        model = learn(start, rows[train], one.labels[train])
        stated = model.probabilities(rows[valid])
        duplicate = min(precision_threshold(stated, one.labels[valid], TARGET_PRECISION), HIGHEST)
        model = replace(model, operating_points=(OperatingPoint(TARGET_PRECISION, duplicate),))
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


def shown_stream(name: str, said: StreamFigures) -> str:
    return (
        f"{name:44s} {said.repeated} of {said.items} repeated, candidates {said.candidates:.3f}"
        f"  duplicate: P {said.precision:.3f} R {said.recall:.3f}  with review: R {said.found:.3f}"
        f" of all {said.looked_at:.3f}  R at P 0.9: {said.recall_at_90:.3f}"
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


def tell_held_out(one: LabelledSet, model: PairModel, said: dict[str, Any], *, with_curve: bool) -> None:
    """Print what a model fitted to the other sets is worth, and what it learns; adds the latter to ``said``."""
    print(f"{one.name}: {said['same']} of {said['pairs']} pairs are the same; best F1 of cosine", end=" ")
    print(f"{said['cosine_best_f1']:.3f}, of TF-IDF {said['tfidf_best_f1']:.3f}; bands {said['bands']}")
    print(shown("  no label of this set, other candidates seen", said["with_context"]))
    print(shown("  no label of this set, pairs alone", said["pairs_alone"]))
    if "stream" in said:
        print(shown_stream("  no label of this set, as a stream", StreamFigures(**said["stream"])))
    if one.name.startswith("sample"):
        return
    said["learned"] = learned(one, model)
    print(shown("  learned, other candidates seen", said["learned"]["with_context"]))
    print(shown("  learned, pairs alone", said["learned"]["pairs_alone"]))
    if with_curve:
        said["curve"] = curve(one, model)
        for count, point in said["curve"].items():
            print(shown(f"  {count:,} labelled pairs", point))


def tell_shipped(sets: Sets, model: PairModel) -> None:
    points = ", ".join(f"{point.precision}: {point.probability}" for point in model.operating_points)
    print(f"shipped: review from {model.review_from}, duplicate by precision {points}")
    for name, one in sets.items():
        test = one.split("test")
        if not one.labels[test].any():
            continue
        print(shown(f"  shipped on {name}, test", figures(model, one.rows[test], one.labels[test])))
        if one.source.groups is not None:
            print(shown_stream(f"  shipped on {name}, test, as a stream", as_stream(one, model, "test")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the model that ships with the package")
    parser.add_argument("--curve", action="store_true", help="show what 10 to 1,000 labelled pairs are worth")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    options = parser.parse_args()
    embed = cached_embedder()
    sets = {name: load(name, data_folder(), embed) for name in SETS}
    report, models = held_out(sets)
    for name, said in report.items():
        tell_held_out(sets[name], models[name], said, with_curve=options.curve)
    model = default_model(sets, models)
    tell_shipped(sets, model)
    if options.write:
        print(write(model, about(sets, report)))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
