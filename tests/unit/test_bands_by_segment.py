"""Where the duplicate band begins: by view and kind of text, closed where nothing was measured, opened by answers."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import cycle, islice, pairwise, product

import numpy as np
import pytest

from recommender_engine.items import Band, CollectionSettings, Item
from recommender_engine.matching import (
    Answered,
    Candidate,
    Comparable,
    CountedTerms,
    LearnedMatcher,
    PairModel,
    default_model,
    item_terms,
    judged_alone,
    measured,
)
from recommender_engine.matching.features.table import CONTEXT, FEATURES
from recommender_engine.matching.model.learning import carried_threshold
from recommender_engine.matching.model.operating_points import (
    CLOSED,
    OperatingPoint,
    carries,
    lower_bound,
    measured_threshold,
)
from recommender_engine.matching.pair.profile import profile
from recommender_engine.matching.pair.segments import SEGMENTS, Kind, Segment, View, kind_of
from recommender_engine.text import clean, fingerprint
from tools.measure_bands import ENOUGH, Flaggable, Seen, fitted_without, points

TICKET = "I cannot log in to the portal since the update of this morning"
REWORDED = "Since the update of this morning I can not log in to the portal any more"
REPORT = " ".join(["When I open the file from the menu and then close it, the window is gone but not its icon."] * 3)
CASE = {"title": "Lowepro Adventura SH 140 II shoulder bag LP36863"}
OTHER_CASE = {"title": "LP36863 Lowepro Adventura SH140"}
LADDER = tuple([OperatingPoint(precision, precision) for precision in (0.5, 0.8, 0.9, 0.95)])
CLOSED_EVERYWHERE = dict.fromkeys(SEGMENTS, ())


def item(said: str | dict[str, str], **attributes: float) -> Item:
    given = {"text": said} if isinstance(said, str) else {"fields": said}
    return Item.model_validate({"id": "i", **given, "attributes": attributes})


def side(said: str | dict[str, str]) -> Comparable:
    made = item(said)
    return Comparable(made, fingerprint(clean(made.content)))


def kind(one: Item, other: Item) -> Kind:
    mine, theirs = (profile(said, item_terms(said), CountedTerms()) for said in (one, other))
    assert kind_of(mine, theirs) is kind_of(theirs, mine)
    return kind_of(mine, theirs)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (item(TICKET), item(REWORDED), Kind.SHORT_PROSE),
        (item(TICKET), item(REPORT), Kind.LONG_PROSE),
        (item({"title": "Portal", "text": TICKET}), item(REWORDED), Kind.SHORT_PROSE),
        (item(CASE), item(OTHER_CASE), Kind.WITH_CODES),
        (item(CASE), item({"title": "Lowepro shoulder bag"}), Kind.WITHOUT_CODES),
        (item(REPORT, price=3.0), item(REPORT), Kind.WITHOUT_CODES),
        (item("Ich kann mich seit dem Update nicht mehr anmelden"), item(TICKET), Kind.SHORT_PROSE),
        (item("the for"), item("of a"), Kind.WITHOUT_CODES),
    ],
)
def test_kinds(one: Item, other: Item, expected: Kind) -> None:
    assert kind(one, other) is expected


def of_words(number: int, joining: int) -> Item:
    """So many words, of which so many are function words."""
    names = ["".join(letters) for letters in product("klmnp", "aeiou", "bdfgr")]
    return item(" ".join([*islice(cycle(("the", "of", "and")), joining), *names[: number - joining]]))


@pytest.mark.parametrize(
    ("number", "joining", "expected"),
    [
        (18, 3, Kind.SHORT_PROSE),
        (19, 3, Kind.WITHOUT_CODES),
        (12, 2, Kind.WITHOUT_CODES),
        (24, 4, Kind.SHORT_PROSE),
        (25, 4, Kind.WITHOUT_CODES),
        (50, 12, Kind.SHORT_PROSE),
        (51, 12, Kind.LONG_PROSE),
        (100, 0, Kind.WITHOUT_CODES),
        (101, 0, Kind.LONG_PROSE),
    ],
)
def test_the_lines_between_kinds_are_where_the_guide_says(number: int, joining: int, expected: Kind) -> None:
    assert kind(of_words(number, joining), of_words(5, 0)) is expected


def judged(model: PairModel, one: str, *others: str, **settings: float) -> list[Band]:
    sides = [side(said) for said in (one, *others)]
    counted = CountedTerms(item_terms(one.item).whole.counts for one in sides)
    matcher = LearnedMatcher(lambda collection: counted, lambda collection: model)
    candidates = [Candidate(other, 0.97 - 0.4 * segment) for segment, other in enumerate(sides[1:])]
    verdicts = matcher.judge(sides[0], candidates, CollectionSettings.model_validate(settings))
    return [verdict.band for verdict in verdicts]


def with_points(*open_: Segment) -> PairModel:
    anything = (OperatingPoint(0.5, 0.01), OperatingPoint(0.95, 0.02))
    return replace(default_model(), segments={**CLOSED_EVERYWHERE, **dict.fromkeys(open_, anything)})


def test_each_view_and_kind_has_a_beginning_of_its_own() -> None:
    stream, alone = (with_points(Segment(view, Kind.SHORT_PROSE)) for view in (View.STREAM, View.ALONE))
    beside = "Please send me the invoice of the last month"
    assert judged(stream, TICKET, REWORDED, beside)[0] is Band.DUPLICATE
    assert judged(alone, TICKET, REWORDED, beside)[0] is Band.REVIEW
    assert judged(stream, TICKET, REWORDED) == [Band.REVIEW]
    assert judged(alone, TICKET, REWORDED) == [Band.DUPLICATE]
    elsewhere = with_points(*(segment for segment in SEGMENTS if segment.kind is not Kind.SHORT_PROSE))
    assert judged(elsewhere, TICKET, REWORDED) == [Band.REVIEW]


def test_above_what_was_measured_a_band_is_closed_but_for_the_same_text() -> None:
    model = with_points(Segment(View.ALONE, Kind.SHORT_PROSE))
    assert judged(model, TICKET, REWORDED, target_precision=0.95) == [Band.DUPLICATE]
    assert judged(model, TICKET, REWORDED, target_precision=0.96) == [Band.REVIEW]
    assert judged(model, TICKET, TICKET.upper(), target_precision=0.999) == [Band.DUPLICATE]
    assert measured_threshold((), 0.5) == CLOSED == model.duplicate_threshold(0.96, SEGMENTS[0])
    assert measured_threshold(LADDER, 0.95) == pytest.approx(0.95)


def test_a_model_of_before_is_read_and_judges_as_it_did() -> None:
    said = {key: value for key, value in default_model().to_json().items() if key != "places"}
    read = PairModel.checked(json.dumps(said))
    assert read.segments is None
    assert "places" not in read.to_json()
    (threshold,) = {read.duplicate_threshold(0.95, segment) for segment in SEGMENTS}
    assert threshold == read.duplicate_threshold(0.95) < 1


def test_points_are_kept_with_the_model_and_looked_at_when_they_come_from_elsewhere() -> None:
    model = with_points(SEGMENTS[2])
    said = model.to_json()
    assert PairModel.checked(json.dumps(said)).segments == model.segments
    for wrong in ({}, {"alone": {}}, {**said["places"], "stream": {"long_prose": [[2.0, 0.5]]}}, 7):
        with pytest.raises(ValueError, match="model"):
            PairModel.checked(json.dumps({**said, "places": wrong}))


def test_the_shipped_points_rise() -> None:
    segments = default_model().segments
    assert segments is not None
    assert any(segments.values())
    for found in segments.values():
        assert all(
            low.precision < high.precision and low.probability < high.probability for low, high in pairwise(found)
        )


# -- what answers change -----------------------------------------------------------------------------------------------


def answered(right: int, wrong: int = 0, *, alone: bool = False, kind: Kind | None = None) -> PairModel:
    labels = np.array([True] * right + [False] * wrong)
    said = Answered(np.full(len(labels), 0.9), labels, np.full(len(labels), alone), [kind] * len(labels))
    return measured(replace(default_model(), segments=CLOSED_EVERYWHERE), said)


@pytest.mark.parametrize("alone", [False, True])
def test_a_closed_band_opens_where_answers_carry_the_precision(alone: bool) -> None:
    segment = Segment(View.ALONE if alone else View.STREAM, Kind.LONG_PROSE)
    other = Segment(View.STREAM if alone else View.ALONE, Kind.LONG_PROSE)
    assert answered(10, alone=alone).duplicate_threshold(0.9, segment) == CLOSED
    opened = answered(30, alone=alone)
    assert opened.duplicate_threshold(0.9, segment) == pytest.approx(0.9, abs=0.001)
    assert opened.duplicate_threshold(0.95, segment) == CLOSED
    assert opened.duplicate_threshold(0.9, other) == CLOSED
    assert answered(30, 10, alone=alone).duplicate_threshold(0.9, segment) == CLOSED
    assert answered(100, 1, alone=alone).duplicate_threshold(0.95, segment) == pytest.approx(0.9, abs=0.001)


def test_an_answer_opens_its_kind_of_text_and_one_of_before_opens_all() -> None:
    opened = answered(30, kind=Kind.LONG_PROSE)
    assert opened.duplicate_threshold(0.9, Segment(View.STREAM, Kind.LONG_PROSE)) == pytest.approx(0.9, abs=0.001)
    assert opened.duplicate_threshold(0.9, Segment(View.STREAM, Kind.WITH_CODES)) == CLOSED
    before = answered(30)
    assert {round(before.duplicate_threshold(0.9, Segment(View.STREAM, kind)), 2) for kind in Kind} == {0.9}


def test_an_open_band_moves_with_answers() -> None:
    shipped = replace(default_model(), segments=dict.fromkeys(SEGMENTS, LADDER))
    stated, labels = np.full(40, 0.97), np.arange(40) % 2 == 0
    moved = measured(shipped, Answered(stated, labels, np.zeros(40, np.bool_), [None] * 40))
    segment = Segment(View.STREAM, Kind.SHORT_PROSE)
    assert 0.95 < moved.duplicate_threshold(0.95, segment) < 1
    assert moved.duplicate_threshold(0.95, Segment(View.ALONE, Kind.SHORT_PROSE)) == pytest.approx(0.95)


def test_what_was_judged_alone_has_no_margin() -> None:
    rows = np.zeros((2, len(FEATURES)))
    rows[1, [FEATURES.index(name) for name in CONTEXT]] = np.nan
    assert judged_alone(rows).tolist() == [False, True]


# -- how points are measured -------------------------------------------------------------------------------------------


def test_a_share_is_carried_by_its_lower_bound() -> None:
    assert lower_bound(0, 0) == 0
    assert lower_bound(57, 57) == pytest.approx(0.937, abs=0.001)
    assert carries(35, 35, 0.95)
    assert not carries(34, 34, 0.95)
    assert not carries(95, 100, 0.96)
    down = np.linspace(0.9, 0.6, 101)
    assert carried_threshold(down, np.array([True] * 100 + [False]), 0.95) == pytest.approx(0.6)
    assert carried_threshold(np.array([0.9] * 40 + [0.6] * 9), np.array([True] * 40 + [False] * 9), 0.95) == 0.9


def test_a_stray_answer_far_below_the_others_opens_nothing_down_to_it() -> None:
    stated, labels = np.array([0.95] * 40 + [0.6, 0.3]), np.ones(42, np.bool_)
    assert carried_threshold(stated, labels, 0.95) == 0.95
    assert carried_threshold(stated, labels & (stated > 0.3), 0.95) == 0.95
    assert carried_threshold(np.array([0.999] + [0.9] * 40), np.ones(41, np.bool_), 0.95) == 0.9
    assert carried_threshold(np.array([1.0] * 40), np.ones(40, np.bool_), 0.95) == 1.0
    assert carried_threshold(np.zeros(0), np.zeros(0, np.bool_), 0.95) == CLOSED


def flagged(right: int, wrong: int, *, large: bool = True) -> Flaggable:
    return Flaggable("s", large, np.full(right + wrong, 0.9), np.cumsum([1.0] * right + [0.0] * wrong))


def test_a_point_is_that_of_the_worst_set() -> None:
    assert [one.precision for one in points([flagged(500, 0)])][-1] >= 0.99
    assert points([flagged(500, 0), flagged(ENOUGH - 10, 10)])[-1].precision < 0.75
    few = points([flagged(500, 0), flagged(0, 5)])
    assert few[-1].precision >= 0.97, "they say little, but they count among all"
    small, large = (points([flagged(500, 0), flagged(57, 2, large=large)])[-1].precision for large in (False, True))
    assert (small, large) == (0.95, 0.93)
    assert points([]) == points([flagged(0, 40)]) == ()


def test_a_point_is_found_to_a_hundredth_of_log_odds() -> None:
    stated, right = np.array([0.9267] * 95 + [0.9257] * 45), np.cumsum([1.0] * 95 + [0.0] * 45)
    assert points([Flaggable("s", True, stated, right)])[-1].probability == pytest.approx(0.9267, abs=0.0008)


def test_what_the_shipped_model_does_not_read_has_no_say_in_where_bands_begin() -> None:
    draw = np.random.default_rng(1)
    labels = draw.random(400) < 0.5
    rows = draw.random((400, len(FEATURES))) + labels[:, None]
    unread = [segment for segment, name in enumerate(FEATURES) if name not in default_model().features]
    assert unread

    def judge(figures: np.ndarray) -> PairModel:
        numbers, nothing = np.arange(400), np.zeros(400, np.int64)
        found = Seen("some", figures, numbers, labels.astype(np.int64), nothing.astype(bool), nothing)
        return fitted_without([found], "others")

    otherwise = rows.copy()
    otherwise[:, unread] = draw.random((400, len(unread)))
    assert judge(rows).probabilities(rows).tolist() == judge(otherwise).probabilities(rows).tolist()
