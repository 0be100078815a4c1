"""A stream held against the truth: figures worked out by hand, and the engine's own groups and candidates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import StreamRun, judge_stream, matched, run_stream
from recommender_engine.items import Band, CollectionSettings, ItemProcessed, UpsertItem
from recommender_engine.items.events import Cause, Timings
from tests.support.engine import Models

SPEECHES = {
    "fire": "The printer in room twelve is on fire and smoke comes out of the paper tray",
    "login": "My password is not accepted any more since the update of last week",
    "export": "The export button of the monthly report gives an empty file",
}


def arrived(id_: str, band: Band, other: str | None = None, probability: float = 0.0, group: str = "") -> ItemProcessed:
    return ItemProcessed(
        command=Cause(id="1-0"),
        item_id=id_,
        collection="default",
        revision=1,
        band=band,
        duplicate_of=other if band is Band.DUPLICATE else None,
        canonical_id=other if band is Band.DUPLICATE and other else id_,
        group=group or id_,
        matched_id=other,
        probability=probability,
        similarity=None,
        reasons=(),
        explanation="",
        recommendations=(),
        truncated=False,
        model="m",
        timings=Timings(embed_ms=1.0, decide_ms=2.0),
    )


RUN = StreamRun(
    verdicts=[
        arrived("a1", Band.NEW),
        arrived("b1", Band.SIMILAR, "a1", 0.1),
        arrived("a2", Band.DUPLICATE, "a1", 0.9, group="a1"),  # right
        arrived("a3", Band.REVIEW, "a2", 0.6),  # right, for a person
        arrived("b2", Band.DUPLICATE, "a1", 0.8, group="a1"),  # wrong: b1 was the one
        arrived("c1", Band.REVIEW, "a1", 0.5),  # nothing to find
    ],
    groups={"a1": "a1", "b1": "b1", "a2": "a1", "a3": "a3", "b2": "a1", "c1": "c1"},
    candidates={"a1": [], "b1": ["a1"], "a2": ["a1", "b1"], "a3": ["b1", "a2", "a1"], "b2": ["a1"], "c1": ["a1"]},
    rejected=Counter({"empty_text": 1}),
    seconds=2.0,
)
LINKS = [("a1", "a2"), ("a3", "a2"), ("b1", "b2"), ("unknown", "b2")]


def test_figures_by_hand() -> None:
    figures, _ = judge_stream(RUN, LINKS)
    assert (figures.items, figures.twins) == (6, 3)
    assert figures.pair_precision == 1 / 2
    assert figures.pair_recall == pytest.approx(1 / 3)
    assert figures.review_recall == pytest.approx(2 / 3)
    assert (figures.review_twins, figures.looked_at) == (1.0, pytest.approx(4 / 6))
    assert figures.hit_at == {"1": pytest.approx(1 / 3), "5": pytest.approx(2 / 3), "10": pytest.approx(2 / 3)}
    # Groups {a1 a2 b2} {a3} {b1} {c1} against {a1 a2 a3} {b1 b2} {c1}.
    assert figures.bcubed_precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1 + 1) / 6)
    assert figures.bcubed_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 2 + 1 / 3 + 1 / 2 + 1) / 6)
    # In bins of a tenth: 0.1, 0.5 and 0.8 are wrong, 0.6 and 0.9 right.
    assert figures.expected_calibration_error == pytest.approx((0.1 + 0.5 + 0.8 + 0.4 + 0.1) / 5)
    assert figures.items_per_s == 3.0
    assert figures.decide_ms == 2.0
    assert figures.bands == {"duplicate": 2, "review": 2, "similar": 1, "new": 1}
    assert figures.rejected == {"empty_text": 1}


def test_verdicts_say_what_was_true() -> None:
    verdicts = {one.verdict.item_id: one for one in judge_stream(RUN, LINKS)[1]}
    assert {id_: one.twin for id_, one in verdicts.items() if one.twin} == {"a2": "a1", "a3": "a1", "b2": "b1"}
    assert {id_: one.flagged_right for id_, one in verdicts.items() if one.flagged_right is not None} == {
        "a2": True,
        "b2": False,
    }
    assert verdicts["a3"].rank == 1
    assert verdicts["b2"].rank is None
    labels, stated = matched(list(verdicts.values()))
    assert list(zip(stated.tolist(), labels.tolist(), strict=True)) == [
        (0.1, False),
        (0.9, True),
        (0.6, True),
        (0.8, False),
        (0.5, False),
    ]


def test_nothing_labelled_and_nothing_flagged() -> None:
    run = StreamRun([arrived("a", Band.NEW)], {"a": "a"}, {}, Counter(), 1.0)
    figures, _ = judge_stream(run, [])
    assert (figures.pair_precision, figures.pair_recall, figures.review_recall) == (None, None, None)
    assert figures.hit_at == {"1": None, "5": None, "10": None}
    assert figures.expected_calibration_error is None
    assert figures.bcubed_f1 == 1.0


def items(*pairs: tuple[str, str], **others: Any) -> list[UpsertItem]:
    return [UpsertItem(id=id_, text=text, **others) for id_, text in pairs]


def test_through_the_engine() -> None:
    stream = items(
        *SPEECHES.items(),
        ("fire again", SPEECHES["fire"].upper()),
        ("login again", f"{SPEECHES['login']}."),
    )
    steps: list[int] = []
    run = run_stream(stream, Models(), done=steps.append)
    assert sum(steps) == len(stream)
    assert [one.item_id for one in run.verdicts] == [one.id for one in stream]
    assert run.groups["fire again"] == run.groups["fire"] != run.groups["export"]
    assert run.candidates["fire again"][0] == "fire"
    figures, _ = judge_stream(run, [("fire", "fire again"), ("login again", "login")])
    assert figures.twins == 2
    assert figures.pair_precision == 1.0
    assert figures.hit_at["1"] == 1.0
    assert figures.items_per_s > 0


def test_batches_follow_each_other() -> None:
    stream = items(*[(str(number), f"ticket about subject {number * 7919}") for number in range(130)])
    steps: list[int] = []
    run = run_stream(stream, Models(), done=steps.append)
    assert steps == [64, 64, 2]
    assert len(run.verdicts) == 130


def test_settings_count() -> None:
    stream = items(("fire", SPEECHES["fire"]), ("again", SPEECHES["fire"]))
    assert run_stream(stream, Models()).groups["again"] == run_stream(stream, Models()).groups["fire"]
    apart = run_stream(stream, Models(), CollectionSettings(min_length=1000)).groups
    assert apart["again"] != apart["fire"]


def test_refused_settings_and_refused_items() -> None:
    with pytest.raises(ConfigurationError, match="'absent' is not one of"):
        run_stream(items(("fire", SPEECHES["fire"])), Models(), CollectionSettings(model="absent"))
    with pytest.raises(ConfigurationError, match="no item to evaluate"):
        run_stream([], Models())
    run = run_stream(items(("empty", "\u200b")), Models())
    assert run.rejected == {"empty_text": 1}
    with pytest.raises(ConfigurationError, match="no item was decided"):
        judge_stream(run, [])
