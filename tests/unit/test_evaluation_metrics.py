"""Measures of an evaluation, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recommender_engine.evaluation import agreement, bcubed, clusters, expected_calibration_error, operating, ranking
from recommender_engine.evaluation.flags import Flags, duplicates_against
from recommender_engine.evaluation.metrics import best_f1, reliability

LABELS = np.array([True, False, True, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.1])


def test_ranking() -> None:
    found = ranking(LABELS, SCORES)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.roc_auc == pytest.approx(3 / 4)
    assert found.best_f1 == pytest.approx(0.8)  # precision 2/3 at recall 1
    assert found.best_threshold == 0.7


def test_of_equally_good_thresholds_the_highest_is_taken() -> None:
    assert best_f1(np.array([True, False, False, True]), np.array([0.9, 0.3, 0.2, 0.1])) == (
        pytest.approx(2 / 3),
        0.9,
    )


def test_equal_scores_cannot_be_distinguished() -> None:
    assert ranking(np.array([True, False]), np.array([0.5, 0.5])).average_precision == 0.5


def test_ranking_takes_both_kinds() -> None:
    with pytest.raises(ValueError, match="all labels are the same"):
        ranking(np.array([True, True]), np.array([0.1, 0.2]))


def test_operating_point_includes_its_threshold() -> None:
    found = operating(LABELS, SCORES, 0.8)
    assert (found.threshold, found.precision, found.recall, found.f1) == (0.8, 0.5, 0.5, 0.5)


def test_precision_of_nothing_is_unknown() -> None:
    found = operating(LABELS, SCORES, 0.95)
    assert (found.precision, found.recall, found.f1) == (None, 0.0, 0.0)
    assert operating(np.array([False]), np.array([0.9]), 0.5).recall is None


def test_a_duplicate_is_right_if_the_labels_lead_to_the_same_original() -> None:
    labels = {"b": "a", "c": "b", "e": "d"}
    found = duplicates_against(labels, {"c": "a", "b": "c", "e": "a", "x": "a"})
    assert found == Flags(flagged=4, labelled=3, right=2)
    assert (found.precision, found.recall) == (0.5, pytest.approx(2 / 3))
    assert found.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    both = found + Flags(1, 0, 0)
    assert (both.flagged, both.precision) == (5, 0.4)


def test_reliability() -> None:
    labels = np.array([True, False, True, False])
    probabilities = np.array([0.90, 1.00, 0.35, 0.31])
    assert reliability(labels, probabilities) == [
        (pytest.approx(0.33), pytest.approx(0.5), 2),
        (pytest.approx(0.95), pytest.approx(0.5), 2),
    ]
    assert expected_calibration_error(labels, probabilities) == pytest.approx((2 * 0.17 + 2 * 0.45) / 4)


def test_perfectly_calibrated() -> None:
    labels = np.array([True] * 3 + [False])
    assert expected_calibration_error(labels, np.full(4, 0.75)) == pytest.approx(0.0)


TRUE = {"a": 1, "b": 1, "c": 1, "d": 2, "e": 2}
FOUND = {"a": "x", "b": "x", "c": "y", "d": "y", "e": "y"}


def test_bcubed() -> None:
    found = bcubed(TRUE, FOUND)
    assert found.precision == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5)
    assert found.recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert found.f1 == pytest.approx(11 / 15)


def test_bcubed_of_everything_alone_and_of_everything_together() -> None:
    alone = bcubed(TRUE, {id_: id_ for id_ in TRUE})
    assert (alone.precision, alone.recall) == (1.0, pytest.approx((3 * 1 / 3 + 2 * 1 / 2) / 5))
    together = bcubed(TRUE, dict.fromkeys(TRUE, 0))
    assert (together.precision, together.recall) == (pytest.approx((3 * 3 / 5 + 2 * 2 / 5) / 5), 1.0)


def test_bcubed_looks_at_the_items_found_only() -> None:
    assert bcubed({**TRUE, "unseen": 1}, FOUND) == bcubed(TRUE, FOUND)


def test_agreement() -> None:
    found = agreement(TRUE, FOUND)
    # Of ten pairs each grouping joins four and both join two; by chance both would join 4 * 4 / 10.
    assert found.adjusted_rand == pytest.approx((2 - 1.6) / (4 - 1.6))
    assert found.pairs_in_common == pytest.approx(2 / 6)


def test_names_and_order_of_groups_do_not_matter() -> None:
    renamed = {id_: f"g{group}" for id_, group in reversed(TRUE.items())}
    assert agreement(TRUE, renamed) == agreement(TRUE, TRUE)
    assert agreement(TRUE, TRUE).pairs_in_common == 1.0
    assert agreement({"a": 1, "b": 2}, {"a": 3, "b": 4}).pairs_in_common == 1.0


def test_clusters_are_closed_transitively() -> None:
    found = clusters([("a", "b"), ("missing", "b"), ("c", "missing")], ["a", "b", "c", "d"])
    assert found["a"] == found["b"] == found["c"]
    assert found["d"] != found["a"]
