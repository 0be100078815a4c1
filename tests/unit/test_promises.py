"""Where a precision is not measured, and how many answers are missing: at least so many, and so many do."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from celery_recommender.cli.doctor.command import _check_measured
from celery_recommender.cli.output.measured import verdict_in_words
from recommender_engine import Recommender
from recommender_engine.matching import (
    Answered,
    Floats,
    Kind,
    LearnedMatcher,
    PairModel,
    Promise,
    View,
    default_model,
    held_out,
    kind_of_items,
    promises,
)
from recommender_engine.matching.model.operating_points import carries
from recommender_engine.matching.model.promises import missing_answers, more_right
from recommender_engine.matching.pair.segments import SEGMENTS
from recommender_engine.matching.trees import Booleans
from recommender_engine.pipeline.learning import promises as pipeline_promises
from recommender_engine.pipeline.learning import training
from tests.support.engine import Log, opened

FAULTS = ("printer", "boiler", "camera", "keyboard", "projector", "radio", "network", "scanner", "oven", "lift")
PLACES_IN_A_HOUSE = ("cellar", "attic", "kitchen", "garage", "library", "office", "hall", "garden")


def report(number: int, copy: int) -> str:
    """A long report of a fault; two copies tell of one in other words."""
    what, where = FAULTS[number % 10], PLACES_IN_A_HOUSE[number // 10]
    name = "".join("abcdefghij"[int(digit)] * 3 for digit in f"{number:03}")
    begin, end = (("When I", "Please help me"), ("Whenever I", "Can you help me"))[copy]
    return (
        f"{begin} go to the {where} and switch on the {what}, it is on for a moment and then it goes off again. "
        f"I have tried it with the other {what} of the {where}, and it was the same. It is not the cable, as I have "
        f"seen to it that it is in. {end} with {name}, "
        f"which is what we call the {what} in the {where}, as soon as you can, since I need it."
    )


@pytest.mark.parametrize("precision", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_so_many_more_are_enough_and_one_less_is_not(precision: float) -> None:
    for flagged in (0, 1, 7, 34, 100):
        for wrong in {0, min(flagged, 1), min(flagged, 5)}:
            more = more_right(flagged - wrong, flagged, precision)
            assert carries(flagged - wrong + more, flagged + more, precision)
            assert more == 0 or not carries(flagged - wrong + more - 1, flagged + more - 1, precision)
    assert (more_right(0, 0, 0.9), more_right(0, 0, 0.95)) == (22, 35)


def test_what_is_missing_is_counted_from_where_answers_are_best() -> None:
    model = replace(default_model(), segments=dict.fromkeys(SEGMENTS, ()))

    def missing(target: float, *said: tuple[float, bool]) -> int | None:
        stated, labels = np.array([one for one, _ in said]), np.array([same for _, same in said], np.bool_)
        return missing_answers(model, target, stated, labels)

    assert missing(0.95) == 35
    assert missing(0.95, *[(0.9, True)] * 10) == 25
    assert missing(0.95, *[(0.9, True)] * 10, (0.5, False)) == 25, "a wrong one below does not count above it"
    assert missing(0.95, (0.99, False)) == 35, "those that come may be likelier"
    assert missing(0.94) == missing(0.95), "what can be opened are the steps of the ladder"
    assert missing(0.9995) is None
    draw = np.random.default_rng(1)
    for count in (3, 30, 300):
        stated, same = draw.random(count).tolist(), (draw.random(count) < 0.9).tolist()
        said = list(zip(stated, same, strict=True))
        ranked = np.cumsum([same for _, same in sorted(said, reverse=True)]).tolist()
        least = min(more_right(right, flagged, 0.9) for flagged, right in enumerate([0, *ranked]))
        assert missing(0.9, *said) == least, "what is passed over is no better"


def test_answers_count_where_they_were_given() -> None:
    model = replace(default_model(), segments=dict.fromkeys(SEGMENTS, ()))
    kinds = [Kind.LONG_PROSE] * 3 + [None]
    said = Answered(np.full(4, 0.9), np.ones(4, np.bool_), np.array([False, False, True, False]), kinds)
    found = {(one.segment.view, one.segment.kind): (one.answers, one.missing) for one in promises(model, 0.95, said)}
    assert found[View.STREAM, Kind.LONG_PROSE] == (3, 32)
    assert found[View.ALONE, Kind.LONG_PROSE] == (1, 34)
    assert found[View.STREAM, Kind.WITH_CODES] == (1, 34)
    assert len(found) == len(SEGMENTS)


def closed(engine: Recommender, view: str = "stream", kind: str = "long_prose") -> dict[str, Any] | None:
    found = engine.stats()["collections"]["default"]["not_measured"]
    return next((one for one in found if (one["view"], one["kind"]) == (view, kind)), None)


def test_stats_count_down_to_the_band_that_opens(tmp_path: Path) -> None:
    """Through the engine, which learns from each of the first answers, and again after a restart."""
    engine, log = opened(tmp_path, matcher=LearnedMatcher), Log()
    reports = [log.upsert(f"{number}-{copy}", report(number, copy)) for number in range(40) for copy in range(2)]
    engine.process(reports)
    commands = [one.command for one in reports[:2]]
    assert kind_of_items(*commands) is Kind.LONG_PROSE  # type: ignore[arg-type]
    for given in range(35):
        assert closed(engine) == {"view": "stream", "kind": "long_prose", "answers": given, "missing": 35 - given}
        engine.process([log.feedback(f"{given + 1}-1", "same", f"{given + 1}-0")])
    assert closed(engine) is None
    assert closed(engine, "alone") is not None, "nothing is known of pairs that are judged alone"
    (now,) = [one for one in engine.promises.of("default") if (one.view, one.kind) == ("stream", "long_prose")]
    assert (now.measured, now.answers, now.missing) == (True, 35, None)
    assert (now.begins_at or 0) > 0.9, "where today's model states those pairs, not where the first answers found it"
    assert min(one.probability for one in engine.answers()) < 0.7
    engine.process([log.feedback(f"{given}-0", "different", f"{given}-1") for given in range(36, 40)])
    after = closed(engine)
    assert after is not None, "it closes again by the same rule"
    engine.close()
    again = opened(tmp_path, matcher=LearnedMatcher)
    assert closed(again) == after
    again.process([log.configure(target_precision=0.98)])
    assert closed(again, kind="short_prose") is not None
    again.process([log.configure(rule="cosine", collection="by vectors")])
    assert again.stats()["collections"]["by vectors"]["not_measured"] == []
    assert [*again.promises.closed_anywhere(20)] == ["default"]
    again.close()


def test_what_the_others_teach_is_found_out_when_the_model_learns_and_not_at_each_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []

    def counted(model: PairModel, rows: Floats, labels: Booleans, stated: Floats) -> Floats:
        looked.append(len(rows))
        return held_out(model, rows, labels, stated)

    with closing(opened(matcher=LearnedMatcher)) as engine:
        log = Log()
        engine.process([log.upsert(f"{n}-{copy}", report(n, copy)) for n in range(80) for copy in range(2)])
        engine.process([log.feedback(f"{n}-1", "same", f"{n}-0") for n in range(60)])
        engine.stats()
        monkeypatch.setattr(training, "held_out", counted)
        for n in (60, 61):
            engine.process([log.feedback(f"{n}-1", "different", f"{n}-0")])
            said = engine.promises.answered(1)
            assert len(said.labels) == n + 1
        assert not looked, "the model has not learned from them: what it states of them is what it is worth"
        assert said.labels.tolist() == [True] * 60 + [False] * 2
        assert said.stated[-1] == pytest.approx(engine.answers()[-1].probability, abs=0.001)
        engine.process([log.feedback("61-1", "unsure", "61-0")])
        engine.promises.answered(1)
        assert looked, "which of them it has learned from is not known any more"


def test_the_doctor_says_what_is_not_measured_and_how_to_measure_it() -> None:
    closed = [{"view": "stream", "kind": "long_prose", "answers": 3, "missing": 32}]
    (finding,) = _check_measured({"not_measured": {"tickets": closed}})
    assert (finding.check, finding.state) == ("precision tickets", "ok")
    assert finding.found == "closed: not yet measured: long prose in a stream: at least 32 more answers"
    assert "recommender calibrate tickets" in finding.advice
    assert list(_check_measured({})) == []
    (finding,) = _check_measured({"not_measured": {"acme's tickets": closed}})
    assert shlex.split(finding.advice)[:3] == ["recommender", "calibrate", "acme's tickets"]


def test_collections_without_answers_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    def counted(model: PairModel, target: float, said: Answered) -> list[Promise]:
        looked.append(target)
        return promises(model, target, said)

    monkeypatch.setattr(pipeline_promises, "promises", counted)
    with closing(opened()) as engine:
        log = Log()
        engine.process([log.upsert(str(number), "a printer", collection=f"c{number}") for number in range(12)])
        told = engine.stats()["collections"]
    assert len(told) == 12
    assert all(one["not_measured"] for one in told.values())
    assert len(looked) == 1


def test_an_open_band_is_reported_with_its_answers() -> None:
    promise = {"kind": "short_prose", "measured": True, "begins_at": 0.924, "answers": 1, "missing": None}
    told = verdict_in_words({"promise": promise, "target_precision": 0.9, "same": 1})
    assert told == (
        "short prose in a stream, target precision 0.9: the band is open from 0.92; 1 answer, 1 of them the same thing"
    )
