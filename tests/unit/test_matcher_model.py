"""The model of pairs: growing trees, regression, learning, bands, verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine.items import Band, CollectionSettings, Item
from recommender_engine.matching import (
    Answered,
    Candidate,
    Comparable,
    CountedTerms,
    LearnedMatcher,
    default_model,
    item_terms,
)
from recommender_engine.matching.features.rows import rows_from
from recommender_engine.matching.features.table import CONTEXT, FEATURES, MONOTONE, TABLE
from recommender_engine.matching.model.boosting import Growth, grow
from recommender_engine.matching.model.learning import (
    OWN_MODEL_FROM,
    adapt,
    f_threshold,
    fit,
    held_out,
    learn,
    measured,
    precision_threshold,
)
from recommender_engine.matching.model.logistic import newton, regress
from recommender_engine.matching.model.operating_points import OperatingPoint, threshold
from recommender_engine.matching.model.pair_model import PairModel
from recommender_engine.matching.trees import Booleans, Floats
from tests.support.matchers import beside

SETTINGS = CollectionSettings()


def drawn(count: int, columns: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random((count, columns))


def labelled(count: int, seed: int = 0) -> tuple[Floats, np.ndarray]:
    """Pairs that are the same where cosine and words agree on it and no identifier differs."""
    rows = drawn(count, len(FEATURES), seed)
    rows[drawn(count, len(FEATURES), seed + 1) < 0.1] = np.nan
    seen = np.nan_to_num(rows, nan=0.5)
    column = {name: seen[:, place] for place, name in enumerate(FEATURES)}
    labels = (column["cosine"] + column["words"] > 1.1) & (column["identifiers_differ"] < 0.7)
    return rows, labels


def test_trees_learn_what_no_straight_line_separates() -> None:
    rows = drawn(2000, 3)
    labels = (rows[:, 0] > 0.5) != (rows[:, 1] > 0.5)
    trees = grow(rows, labels, np.ones(2000), [0, 0, 0], Growth(trees=60, columns=1.0))
    assert ((trees.log_odds(rows) > 0) == labels).mean() > 0.97
    line = regress(rows, labels, np.ones(2000), 1.0)
    assert ((line.log_odds(rows) > 0) == labels).mean() < 0.6


def test_trees_learn_from_what_is_missing() -> None:
    rows = drawn(1000, 2)
    rows[:400, 0] = np.nan
    labels = np.isnan(rows[:, 0])
    trees = grow(rows, labels, np.ones(1000), [0, 0], Growth(trees=30, columns=1.0))
    assert ((trees.log_odds(rows) > 0) == labels).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_monotone_features_act_in_one_direction_only(sign: int) -> None:
    rows = drawn(1500, 3)
    noise = np.random.default_rng(5).random(1500) < 0.2
    labels = (np.sin(6 * rows[:, 0]) > 0) ^ noise  # rises and falls
    trees = grow(rows, labels, np.ones(1500), [sign, 0, 0], Growth(trees=40, columns=1.0))
    free = grow(rows, labels, np.ones(1500), [0, 0, 0], Growth(trees=40, columns=1.0))
    sweep = np.repeat(drawn(50, 3, seed=9), 60, axis=0)
    sweep[:, 0] = np.tile(np.linspace(-0.1, 1.1, 60), 50)

    def falls(odds: Floats) -> bool:
        return bool((sign * np.diff(odds.reshape(50, 60), axis=1) < -1e-9).any())

    assert not falls(trees.log_odds(sweep))
    assert falls(free.log_odds(sweep))


def test_growing_is_repeatable() -> None:
    rows, labels = labelled(800)
    one, other = fit(rows, labels), fit(rows, labels)
    assert one.to_json() == other.to_json()


def test_model_survives_json() -> None:
    rows, labels = labelled(800)
    rows = rows.round(3)  # numbers keep six digits, and what lies in the seventh may be asked of a tree
    model = fit(rows, labels)
    read = PairModel.from_json(json.loads(json.dumps(model.to_json())))
    np.testing.assert_allclose(read.log_odds(rows), model.log_odds(rows), atol=1e-3)


def test_unknown_feature_is_named() -> None:
    said = {**default_model().to_json(), "features": ["cosine", "phase_of_the_moon"]}
    with pytest.raises(ValueError, match="phase_of_the_moon"):
        PairModel.from_json(said)


def test_one_sided_labels_are_refused() -> None:
    rows, labels = labelled(50)
    with pytest.raises(ValueError, match="takes both"):
        fit(rows, labels & False)


def test_adapting_moves_with_the_evidence() -> None:
    model = default_model()
    rows, labels = labelled(600)
    untouched = adapt(model, rows[:0], labels[:0])
    np.testing.assert_allclose(untouched.log_odds(rows), model.log_odds(rows), atol=1e-9)

    def loss(judge: PairModel) -> float:
        stated = judge.probabilities(rows[300:])
        return float(-np.log(np.where(labels[300:], stated, 1 - stated)).mean())

    losses = [loss(adapt(model, rows[:count], labels[:count])) for count in (0, 30, 300)]
    assert losses[0] > losses[1] > losses[2]


def test_regression_finds_its_way_from_a_start_far_off() -> None:
    design = np.hstack([10 * drawn(60, 3) - 5, np.ones((60, 1))])
    labels = design[:, 0] > 0
    start = np.array([-8.0, 3.0, 3.0, 5.0])
    found = newton(design, labels, np.ones(60), np.full(4, 0.1), start)
    slope = design.T @ (labels - 1 / (1 + np.exp(-design @ found))) - 0.1 * (found - start)
    assert np.abs(slope).max() < 1e-5, "where the loss is least it is flat"
    assert ((design @ found > 0) == labels).mean() > 0.95


def test_many_labels_make_a_model_of_ones_own() -> None:
    model = default_model()
    rows, labels = labelled(OWN_MODEL_FROM)
    few, many = learn(model, rows[:200], labels[:200]), learn(model, rows, labels)
    assert few.trees is model.trees
    assert many.trees is not model.trees
    assert (many.operating_points, many.review_from) == (model.operating_points, model.review_from)
    fresh, truth = labelled(1000, seed=7)
    assert ((many.probabilities(fresh) > 0.5) == truth).mean() > 0.93


TIMES = ("days_apart", "arrivals_apart")


def without_times(rows: Floats) -> Floats:
    hidden = rows.copy()
    hidden[:, [FEATURES.index(name) for name in TIMES]] = np.nan
    return hidden


def test_a_model_of_its_own_reads_all_that_its_answers_have() -> None:
    """Also what the shipped model does not read yet."""
    unread = [name for name in FEATURES if name not in default_model().features]
    rows, _ = labelled(OWN_MODEL_FROM)
    place = FEATURES.index("condition_differs")
    assert "condition_differs" in unread
    labels = np.nan_to_num(rows[:, place], nan=1.0) < 0.5
    learned = learn(default_model(), rows, labels)
    assert set(learned.features) == set(FEATURES)
    assert ((learned.probabilities(rows) > 0.5) == labels).mean() > 0.9


def test_a_model_of_its_own_is_as_sure_as_it_may_be() -> None:
    """Whatever the order of the answers: here every fourth one is of the rarer kind."""
    rows, labels = labelled(6 * OWN_MODEL_FROM)
    same, different = rows[labels][:OWN_MODEL_FROM], rows[~labels][: 3 * OWN_MODEL_FROM]
    count = min(len(same), len(different) // 3)
    turns = np.concatenate([same[:count, None], different[: 3 * count].reshape(count, 3, -1)], axis=1)
    taught = learn(default_model(), turns.reshape(4 * count, -1), np.arange(4 * count) % 4 == 0)
    new, truth = labelled(2000, seed=7)
    stated = taught.probabilities(new)
    sure = (stated < 0.05) | (stated > 0.95)
    assert sure.mean() > 0.65
    assert ((stated > 0.5) == truth)[sure].mean() > 0.95


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("count", [300, OWN_MODEL_FROM])
def test_what_time_says_is_learned_from_answers_alone(name: str, count: int) -> None:
    model, place = default_model(), FEATURES.index(name)
    assert not set(TIMES) & set(model.features)
    rows = without_times(labelled(count)[0]).round(3)  # numbers keep six digits
    rows[:, [place for place, name in enumerate(FEATURES) if name not in model.features]] = np.nan
    rows[:, place] = (drawn(count, 1, seed=3)[:, 0] * 10).round(3)
    learned = learn(model, rows, rows[:, place] < 5)
    assert learned.features == (*model.features, name)
    soon, late, untold = (without_times(rows) for _ in range(3))
    soon[:, place], late[:, place] = 1.0, 9.0
    assert (learned.log_odds(soon) > learned.log_odds(untold)).all()
    assert (learned.log_odds(untold) > learned.log_odds(late)).all()
    read = PairModel.from_json(json.loads(json.dumps(learned.to_json())))
    np.testing.assert_allclose(read.log_odds(late), learned.log_odds(late), atol=1e-3)


def test_answers_without_times_teach_the_same_as_if_there_were_none() -> None:
    rows, labels = labelled(300)
    assert learn(default_model(), without_times(rows), labels).features == default_model().features


def test_thresholds() -> None:
    stated = np.array([0.9, 0.8, 0.8, 0.7, 0.4, 0.1])
    truth = np.array([True, True, False, True, False, False])
    assert precision_threshold(stated, truth, 1.0) == 0.9
    assert precision_threshold(stated, truth, 0.75) == 0.7
    assert precision_threshold(stated, ~truth, 0.9) == 1.0
    assert f_threshold(stated, truth) == 0.7


POINTS = (OperatingPoint(0.5, 0.2), OperatingPoint(0.9, 0.7), OperatingPoint(0.97, 0.9))


def test_thresholds_of_a_target_precision_go_through_what_was_measured() -> None:
    assert [threshold(POINTS, point.precision) for point in POINTS] == pytest.approx([0.2, 0.7, 0.9])
    assert 0.7 < threshold(POINTS, 0.94) < 0.9
    assert threshold(POINTS, 0.3) == pytest.approx(0.2), "nothing was measured below"
    assert 0.9 < threshold(POINTS, 0.99) < threshold(POINTS, 0.999) < 1.0
    assert threshold((OperatingPoint(0.5, 0.999),), 0.999) < 1.0


@given(st.floats(0.01, 0.999), st.floats(0.01, 0.999))
def test_thresholds_rise_with_the_target(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert threshold(POINTS, low) <= threshold(POINTS, high) + 1e-12
    assert default_model().duplicate_threshold(low) <= default_model().duplicate_threshold(high) + 1e-12


def test_operating_points_of_the_shipped_model_rise() -> None:
    points = default_model().operating_points
    assert len(points) >= 5
    assert all(low.precision < high.precision for low, high in pairwise(points))
    assert all(low.probability < high.probability for low, high in pairwise(points))
    assert default_model().review_from < default_model().duplicate_threshold(0.95)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=len(FEATURES), max_size=len(FEATURES)),
    st.sampled_from([name for name in default_model().features if MONOTONE[name]]),
    st.floats(0, 1),
)
def test_shipped_trees_are_monotone(row: list[float], name: str, higher: float) -> None:
    model = default_model()
    place = model.features.index(name)
    rows = np.array([row, row])[:, [FEATURES.index(feature) for feature in model.features]]
    rows[1, place] = max(higher, rows[0, place])
    low, high = model.trees.log_odds(rows)
    assert MONOTONE[name] * (high - low) >= -1e-4


SCANNERS = (
    {"title": "SC-3 scanner dead on arrival", "description": "Order 4484730. No light, tried other cables."},
    {"title": "Scanner SC-3 is dead", "description": "No light at all, order 4484730, tried other cables."},
    {"title": "SC-3 beeps too loudly", "description": "How do we turn the scanner down?"},
    {"title": "Refund for curtains", "description": "They are too short for the window."},
)


class Shelf:
    """Items and their verdicts, without vectors: the cosine is given."""

    def __init__(self, *texts: str | dict[str, str]) -> None:
        self.sides = [self.side(text) for text in texts]
        background = [Item(id="b", text=f"{word} does not work in the {word} any more") for word in ("printer", "shop")]
        counted = [one.item for one in self.sides] + background * 40
        statistics = CountedTerms(item_terms(item).whole.counts for item in counted)
        self.matcher = LearnedMatcher(lambda collection: statistics)

    def side(self, text: str | dict[str, str]) -> Comparable:
        item = Item(id="i", text=text) if isinstance(text, str) else Item(id="i", fields=text)
        return Comparable(item, " ".join(item.content.casefold().split()).encode())

    def bands(self, cosines: Sequence[float]) -> list[Band]:
        candidates = beside(self.sides[1:], cosines)
        return [verdict.band for verdict in self.matcher.judge(self.sides[0], candidates, SETTINGS)]


def test_identical_text_is_a_duplicate_whatever_else() -> None:
    shelf = Shelf("Order 1042", "order  1042", "order 1043")
    candidates = beside(shelf.sides[1:], (0.1, 0.99))
    first, second = shelf.matcher.judge(shelf.sides[0], candidates, SETTINGS)
    assert (first.band, first.probability) == (Band.DUPLICATE, 1.0)
    assert second.band is not Band.DUPLICATE
    told = shelf.matcher.explain(shelf.sides[0], candidates, 0, SETTINGS)
    assert [reason.code for reason in told.reasons] == ["identical_text"]
    assert told.explanation == told.reasons[0].text


def test_an_explained_verdict_is_the_verdict() -> None:
    shelf = Shelf(*SCANNERS)
    candidates = beside(shelf.sides[1:], (0.88, 0.5, 0.05))
    judged = shelf.matcher.judge(shelf.sides[0], candidates, SETTINGS)
    for number, verdict in enumerate(judged):
        told = shelf.matcher.explain(shelf.sides[0], candidates, number, SETTINGS)
        assert told.model_copy(update={"reasons": (), "explanation": ""}) == verdict
        assert told.reasons
        assert all(reason.text in told.explanation for reason in told.reasons)


def test_a_stricter_collection_flags_less() -> None:
    shelf = Shelf(*SCANNERS)
    candidates = beside(shelf.sides[1:], (0.88, 0.5, 0.05))

    def judged(**settings: float) -> list[Band]:
        given = CollectionSettings.model_validate(settings)
        return [verdict.band for verdict in shelf.matcher.judge(shelf.sides[0], candidates, given)]

    assert judged(target_precision=0.8)[0] is Band.DUPLICATE
    assert judged(target_precision=0.999)[0] is Band.REVIEW
    assert judged(target_precision=0.8, review_from=1.0)[0] is Band.DUPLICATE, "review never begins above duplicate"
    assert judged(review_from=0.0)[2] is Band.REVIEW


def test_rows_survive_being_stored() -> None:
    shelf = Shelf(*SCANNERS)
    said = [shelf.matcher.row(shelf.sides[0], [Candidate(other, 0.8)], 0, SETTINGS) for other in shelf.sides[1:]]
    read = rows_from(json.loads(json.dumps(said)))
    assert read.shape == (3, len(FEATURES))
    for row, named in zip(read, said, strict=True):
        assert {FEATURES[place]: row[place] for place in np.flatnonzero(~np.isnan(row))} == named
    assert "title_words" in said[0]
    assert not set(said[0]) & set(CONTEXT), "judged alone"
    assert rows_from([]).shape == (0, len(FEATURES))
    assert rows_from([{"phase_of_the_moon": 1.0}])[0] == pytest.approx([one.before for one in TABLE], nan_ok=True)
    learned = learn(default_model(), read, np.array([True, False, False])).log_odds(read)
    shipped = default_model().log_odds(read)
    assert learned[0] - learned[1:].max() > shipped[0] - shipped[1:].max(), "further from what it is not"


def test_a_row_among_candidates_has_what_the_verdict_rests_on() -> None:
    shelf = Shelf(*SCANNERS)
    candidates = beside(shelf.sides[1:], (0.88, 0.5, 0.05))
    verdicts = shelf.matcher.judge(shelf.sides[0], candidates, SETTINGS)
    rows = rows_from([shelf.matcher.row(shelf.sides[0], candidates, place, SETTINGS) for place in range(3)])
    assert default_model().probabilities(rows) == pytest.approx([one.probability for one in verdicts], abs=1e-4)
    assert not np.isnan(rows[:, [FEATURES.index(name) for name in CONTEXT]]).any()
    twin = Candidate(shelf.sides[0], 1.0)
    assert "margin" not in shelf.matcher.row(shelf.sides[0], [twin, *candidates], 0, SETTINGS), (
        "needs no model, nor context"
    )


def said_in_streams(stated: Floats, labels: Booleans) -> Answered:
    return Answered(stated, labels, np.zeros(len(labels), np.bool_), [None] * len(labels))


def answered(right: int, wrong: int, stated: float = 0.97, below: int = 0) -> PairModel:
    """The shipped model after so many answers; ``below`` more on lower probabilities are all right."""
    labels = np.array([True] * (right + below) + [False] * wrong)
    at = np.array([stated] * right + [0.6] * below + [stated] * wrong)
    return measured(default_model(), said_in_streams(at, labels))


def test_thresholds_move_with_answers_and_further_with_more() -> None:
    shipped = default_model().duplicate_threshold(0.95)
    assert answered(0, 0).operating_points == default_model().operating_points
    few, many = (answered(count // 2, 0, below=count // 2).duplicate_threshold(0.95) for count in (10, 1000))
    assert shipped > few > many > 0.5
    assert few > shipped - 0.03, "ten answers do no harm"
    warned, alarmed = (answered(count // 2, count // 2).duplicate_threshold(0.95) for count in (10, 1000))
    assert shipped < warned < alarmed < 1
    assert warned < shipped + 0.03


def test_no_answer_says_what_is_stated_of_its_own_pair() -> None:
    draw = np.random.default_rng(3)
    rows, labels = draw.normal(size=(25, len(FEATURES))), draw.random(25) < 0.6
    stated = held_out(default_model(), rows, labels, np.zeros(25))
    for place in (0, 7):
        turned = labels.copy()
        turned[place] = not labels[place]
        again = held_out(default_model(), rows, turned, np.zeros(25))
        assert again[place] == stated[place]
        assert not np.allclose(again, stated, atol=1e-9)
    assert held_out(default_model(), rows[:0], labels[:0], np.zeros(0)).shape == (0,)
    alone = held_out(default_model(), rows[:1], labels[:1], np.zeros(1))
    assert alone == pytest.approx(default_model().probabilities(rows[:1])), "one answer teaches nothing of itself"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40))
def test_thresholds_stay_in_order_whatever_is_answered(said: list[tuple[float, bool]]) -> None:
    stated, labels = np.array([one for one, _ in said], np.float64), np.array([same for _, same in said], np.bool_)
    points = measured(default_model(), said_in_streams(stated, labels)).operating_points
    assert [point.precision for point in points] == [point.precision for point in default_model().operating_points]
    assert all(one.probability <= other.probability for one, other in pairwise(points))
    assert all(0 < point.probability < 1 for point in points)


def test_no_candidates_no_verdicts() -> None:
    assert Shelf("alone").bands([]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order 1042 has not arrived, where is my parcel?", "Order 1043 has not arrived, where is my parcel?"),
        ("Tellar X5 smartphone 64 GB graphite", "Tellar X5 smartphone 128 GB graphite"),
        ("Login fails with error code E-4012 since noon", "Login fails with error code E-4013 since noon"),
        ("Linen curtains 140 x 250, sage green", "Linen curtains 140 x 175, sage green"),
        ("Sony Cyber-shot DSC-W120 pink", "Sony Cyber-shot DSC-W120 black"),
        (
            {"title": "Kettle barbecue 57 cm", "description": "Enamelled lid, ash catcher."},
            {"title": "Kettle barbecue 67 cm", "description": "Enamelled lid, ash catcher."},
        ),
    ],
)
def test_variants_are_never_duplicates(one: str | dict[str, str], other: str | dict[str, str]) -> None:
    assert Shelf(one, other).bands([0.99]) != [Band.DUPLICATE]
    assert Shelf(one, other, "printer").bands([0.99, 0.1])[0] is not Band.DUPLICATE


def test_bands_of_an_ordinary_list() -> None:
    shelf = Shelf(*SCANNERS)
    assert shelf.bands([0.88, 0.5, 0.05]) == [Band.DUPLICATE, Band.SIMILAR, Band.NEW]


def test_a_candidate_that_is_close_to_everything_is_likely_less() -> None:
    shelf = Shelf(*SCANNERS)
    alone = beside(shelf.sides[1:], (0.8, 0.78, 0.76))
    crowd = [Candidate(one.other, one.similarity, vector) for one, vector in zip(alone, crowded(), strict=True)]
    (first, *_), (among, *_) = (shelf.matcher.judge(shelf.sides[0], each, SETTINGS) for each in (alone, crowd))
    assert among.probability < first.probability


def crowded() -> list[np.ndarray]:
    """Vectors of three that are closer to each other than the item is to any."""
    vectors = np.ones((3, 4), np.float32) + np.eye(3, 4, dtype=np.float32) / 10
    return list(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_verdicts_do_not_depend_on_what_was_judged_before() -> None:
    texts = ("kettle leaks at the base", "the kettle drips", "kettle 1.7 l leaks", "printer jams")
    cosines = (0.8, 0.7, 0.2)
    fresh, used = Shelf(*texts), Shelf(*texts)
    for other in used.sides:
        used.matcher.judge(other, [Candidate(used.sides[3], 0.4)], SETTINGS)
    candidates = beside(fresh.sides[1:], cosines)
    before, after = (shelf.matcher.judge(fresh.sides[0], candidates, SETTINGS) for shelf in (fresh, used))
    assert before == after
