"""Which pairs a person is asked about: an even sample from the likeliest downwards, no pair twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender_engine import Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.matching import LearnedMatcher
from recommender_engine.matching.model.operating_points import upper_bound
from recommender_engine.pipeline.dedup import answers as pipeline_answers
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.review_order import chance_of
from recommender_engine.pipeline.queries.calibrating import Calibration, Candidate, in_order, out_of_reach, rate_of
from recommender_engine.store import LikelyPair
from tests.support.engine import Log, opened
from tests.unit.test_promises import report

TARGET = 0.95


def candidates(count: int, low: float = 0.3, high: float = 0.99) -> list[Candidate]:
    """Pairs whose probabilities fall evenly."""
    stated = np.linspace(high, low, count).round(6).tolist()
    pairs = [LikelyPair(place, f"i{place}", place, f"o{place}", one) for place, one in enumerate(stated)]
    return [Candidate(pair, chance_of(pair.id, pair.other_id)) for pair in pairs]


def test_a_pair_has_one_chance_whichever_item_is_named_first() -> None:
    assert chance_of("a", "b") == chance_of("b", "a") != chance_of("a", "c")
    chances = [chance_of(f"i{place}", f"o{place}") for place in range(4000)]
    assert all(0 <= one < 1 for one in chances)
    assert np.histogram(chances, bins=8, range=(0, 1))[0].min() > 400


def test_the_sample_of_what_a_band_would_hold_is_even_at_every_moment() -> None:
    """Of all pairs above the last one asked about as many are asked at the top as below."""
    pairs = candidates(8000, 0.93, 0.999)
    order = in_order(pairs, [], 0.9, measured=False)
    rate = rate_of(len(pairs), 22)
    first = [one for one in pairs if one.chance < rate]
    assert order[: len(first)] == first, "downwards, so that who ends early has sampled evenly"
    assert 22 <= len(first) <= 60
    half, below = first[: len(first) // 2], first[len(first) // 2 :]
    assert half[-1].pair.seq / len(pairs) == pytest.approx(0.5, abs=0.2)
    assert below[-1].pair.seq / len(pairs) > 0.8
    twice = [one for one in pairs if rate <= one.chance < 2 * rate]
    assert order[len(first) : len(first) + len(twice)] == twice, "where they do not do, as many again"
    assert rate_of(22, 22) == rate_of(43, 22) == 1.0
    assert rate_of(44, 22) == 0.5
    assert rate_of(400, 22) == 1 / 16


def test_where_the_first_sample_does_not_do_the_rest_of_what_is_worth_asking_comes_before_what_is_not() -> None:
    pairs = candidates(1000)
    order = in_order(pairs, [], 0.9, measured=False)
    assert len(order) == len(set(order)) == len(pairs)
    worth = np.array([one.pair.probability for one in pairs])
    means = np.cumsum(worth) / np.arange(1, len(worth) + 1)
    count = int(np.flatnonzero(means >= 0.95)[-1]) + 1
    assert {one.pair.seq for one in order[:count]} == set(range(count))
    assert order[count].pair.probability < worth[count - 1]


def test_an_open_band_is_widened_at_the_rate_at_which_it_was_sampled() -> None:
    pairs = candidates(1000)
    first = in_order(pairs, [], 0.9, measured=False)[:30]
    rest = [one for one in pairs if one not in first]
    further = in_order(rest, [one.pair.probability for one in first], 0.9, measured=True)
    assert min(one.pair.probability for one in first) > further[29].pair.probability
    below = [one for one in further[:100] if one.pair.probability < first[-1].pair.probability]
    assert [one.pair.probability for one in below] == sorted((one.pair.probability for one in below), reverse=True)


def test_a_precision_is_out_of_reach_only_if_every_share_says_so() -> None:
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(1, 5) < 0.7 < upper_bound(4, 5)
    assert not out_of_reach(np.array([], np.bool_), TARGET)
    assert not out_of_reach(np.array([False] * 4), TARGET), "too few to tell"
    assert out_of_reach(np.array([False] * 5), TARGET)
    assert not out_of_reach(np.array([True] * 5 + [False] * 50), TARGET), "the likeliest may be right"
    assert out_of_reach(np.array([True, False] * 10), TARGET)


# -- in the engine -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("state")
    engine, log = opened(directory, matcher=LearnedMatcher), Log()
    engine.process([log.configure(target_precision=0.9)])
    engine.process([log.upsert(f"{number}-{copy}", report(number, copy)) for number in range(50) for copy in range(2)])
    engine.process([log.upsert("again", report(7, 1))])
    engine.process([log.upsert("short", "the printer is on fire"), log.upsert("too", "the printer is on fire now")])
    engine.close()
    return directory


@pytest.fixture
def engine(filled: Path, tmp_path: Path) -> Iterator[Recommender]:
    (tmp_path / "state.sqlite3").write_bytes((filled / "state.sqlite3").read_bytes())
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        yield engine


@pytest.fixture
def log() -> Log:
    return Log(1_800_000_000_000)


def proposed(engine: Recommender, limit: int = 1, **more: Any) -> Calibration:
    found = engine.calibrating.propose("default", limit=limit, **more)
    assert found is not None
    return found


def test_a_band_opens_by_the_answers_that_are_asked_for_and_no_pair_comes_twice(engine: Recommender, log: Log) -> None:
    first = proposed(engine)
    assert first.promise is not None
    assert (first.promise.kind, first.promise.measured, first.promise.missing) == ("long_prose", False, 22)
    assert [one.kind for one in first.closed] == []
    assert first.opens_at is not None
    asked: list[tuple[str, str]] = []
    while (now := proposed(engine)).promise is not None and not now.promise.measured:
        (pair,) = now.pairs
        assert (now.promise.answers, now.promise.missing, now.same) == (len(asked), 22 - len(asked), len(asked))
        assert pair.text != pair.other_text, "the same text needs no answer"
        assert "again" not in {pair.item_id, pair.other_id}
        asked.append((pair.item_id, pair.other_id))
        engine.process([log.feedback(pair.item_id, "same", pair.other_id)])
    assert len(asked) == len({frozenset(pair) for pair in asked}) == 22
    assert proposed(engine).promise is None, "nothing else is closed that there is something to ask of"
    further = proposed(engine, 200, kind="long_prose")
    assert further.promise is not None
    assert further.promise.measured
    assert {frozenset((one.item_id, one.other_id)) for one in further.pairs}.isdisjoint(map(frozenset, asked))


def test_what_follows_from_answers_is_not_asked(engine: Recommender, log: Log) -> None:
    one, other, *_ = proposed(engine, 200).pairs
    assert {one.item_id, one.other_id}.isdisjoint({other.item_id, other.other_id})
    engine.process([log.feedback(one.item_id, "same", "short"), log.feedback("short", "different", one.other_id)])
    engine.process([log.feedback(other.item_id, "same", "too"), log.feedback("too", "same", other.other_id)])
    left = {(pair.item_id, pair.other_id) for pair in proposed(engine, 200, kind="long_prose").pairs}
    assert left
    assert left.isdisjoint({(one.item_id, one.other_id), (other.item_id, other.other_id)})


def test_answers_that_say_no_put_the_precision_out_of_reach(engine: Recommender, log: Log) -> None:
    for _ in range(5):
        assert not proposed(engine).out_of_reach
        (pair,) = proposed(engine).pairs
        engine.process([log.feedback(pair.item_id, "different", pair.other_id)])
    assert proposed(engine).out_of_reach


def test_items_that_are_gone_are_not_asked_about(engine: Recommender, log: Log) -> None:
    (pair,) = proposed(engine).pairs
    engine.process([log.delete(pair.other_id)])
    assert pair.other_id not in {id_ for one in proposed(engine, 200).pairs for id_ in (one.item_id, one.other_id)}


def test_proposals_are_the_same_after_a_restart_and_change_nothing(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_bytes((filled / "state.sqlite3").read_bytes())
    found = []
    for _ in range(2):
        with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
            found.append((proposed(engine, 200), engine.position, engine.last_event))
    assert found[0] == found[1]


def test_what_cannot_be_asked_is_refused(engine: Recommender, log: Log) -> None:
    assert engine.calibrating.propose("none") is None
    with pytest.raises(InvalidCommand, match="kind must be one of long_prose, short_prose, with_codes, without_codes"):
        engine.calibrating.propose("default", "prose")
    with pytest.raises(InvalidCommand, match="kind must be one of"):
        engine.calibrating.propose("default", ["short_prose"])  # type: ignore[arg-type]
    engine.process([log.configure("by vectors", rule="cosine")])
    with pytest.raises(InvalidCommand, match="'by vectors' is judged by the cosine, which states no precision"):
        engine.calibrating.propose("by vectors")
    engine.process([log.configure("empty")])
    empty = engine.calibrating.propose("empty")
    assert empty is not None
    assert (empty.promise, empty.pairs) == (None, ())
    assert [one.kind for one in empty.closed] == ["long_prose"]


def test_what_people_said_is_followed_once_for_all_pairs(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"i{number}" for number in range(24)]
    engine.process([log.upsert(id_, f"an item of number {id_}") for id_ in ids])
    chain = [log.feedback(one, "same", other) for one, other in pairwise(ids[:8])]
    apart = [
        log.feedback("i3", "different", "i9"),
        log.feedback("i9", "same", "i10"),
        log.feedback("i12", "same", "i13"),
    ]
    engine.process([*chain, *apart])
    answers, followed = Answers(engine.calibrating._store), list[str]()
    pairs = list(combinations(ids, 2))
    expected = [
        answers.chain_of_same(1, *pair) is not None or answers.chain_of_different(1, *pair) is not None
        for pair in pairs
    ]
    assert 0 < sum(expected) < len(pairs)
    reached = pipeline_answers._reached
    monkeypatch.setattr(pipeline_answers, "_reached", lambda said, id_: [followed.append(id_), reached(said, id_)][1])
    assert answers.settled(1, pairs) == expected
    assert len(followed) == 1 + 1 + 1 + (24 - 8 - 2 - 2), "once for each that belong together"
