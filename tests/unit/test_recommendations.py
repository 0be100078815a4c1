"""Recommendations and search do not run dry where one group has all that is nearest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.items import ItemProcessed
from recommender_engine.pipeline.candidates import candidates, search
from tests.support.engine import Log, data_of, opened

COPIES, OTHERS = 80, 10
DIMENSION = 64


def near_copy(log: Log, number: int) -> Entry:
    """One of many that lie close together, each on a point of its own."""
    radians = math.radians(0.2 * number)
    vector = [math.cos(radians), math.sin(radians), *[0.0] * (DIMENSION - 2)]
    return log.upsert(f"copy{number}", f"copy number {number}", vector=vector)


def other(log: Log, number: int, member: int) -> Entry:
    """One of two that are one thing, and like the copies, but another thing than any of them."""
    vector = [0.0] * DIMENSION
    radians = math.radians(50 + number + 0.1 * member)
    vector[0], vector[2 + number] = math.cos(radians), math.sin(radians)
    return log.upsert(f"other{number}-{member}", f"other {number} {member}", vector=vector)


def shelf(log: Log) -> list[Entry]:
    others = [other(log, number, member) for number in range(OTHERS) for member in range(2)]
    return [*others, *(near_copy(log, number) for number in range(COPIES))]


@pytest.fixture
def engine(log: Log) -> Iterator[Recommender]:
    with closing(opened()) as engine:
        engine.process([log.configure(recommendations=OTHERS)])
        engine.process(shelf(log))
        yield engine


EXPECTED = [f"other{number}-0" for number in range(OTHERS)]


def test_what_is_like_an_item_is_found_behind_any_number_of_its_own_kind(engine: Recommender) -> None:
    hits = engine.recommend("copy0", limit=OTHERS)
    assert hits is not None
    assert [hit.id for hit in hits] == EXPECTED
    assert [hit.id for hit in engine.recommend("copy0", limit=3) or ()] == EXPECTED[:3]


def test_the_event_of_an_arrival_has_them_too_in_any_batching(engine: Recommender, log: Log) -> None:
    again = Log()
    entries = [again.configure(recommendations=OTHERS), *shelf(again)]
    with closing(opened()) as one_by_one:
        single = [event for entry in entries for event in one_by_one.process([entry])]
    with closing(opened()) as at_once:
        together = at_once.process(entries)
    assert [data_of(event) for event in single] == [data_of(event) for event in together]
    last = [event.data for event in together if isinstance(event.data, ItemProcessed)][-1]
    assert {hit.id for hit in last.recommendations} == set(EXPECTED)
    scores = [hit.score for hit in last.recommendations]
    assert scores == sorted(scores, reverse=True)


def test_a_search_counts_groups_and_not_their_items(log: Log) -> None:
    with closing(opened()) as engine:
        copies = [f"the export button of the report does nothing at all number {number}" for number in range(COPIES)]
        engine.process([log.configure(similar_from=0.1)])
        engine.process([log.upsert(f"copy{number}", text) for number, text in enumerate(copies)])
        engine.process([log.upsert("far", "the printer of the report is out of paper")])
        hits = engine.search("the export button of the report does nothing at all number 3", limit=10)
        groups = [hit.group for hit in hits]
        assert len(set(groups)) == len(groups)
        assert "far" in [hit.id for hit in hits]


def test_no_more_is_looked_at_than_is_asked_for(engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = candidates._reach

    def reach(similarity: dict[int, float], count: int) -> float:
        asked.append(count)
        return original(similarity, count)

    monkeypatch.setattr(candidates, "_reach", reach)
    engine.process([log.upsert("unlike", "nothing is like it", vector=[0.0] * (DIMENSION - 1) + [1.0])])
    assert set(asked) == {50}, "the floor is among its neighbours already"
    monkeypatch.setattr(search, "WIDEST", 60)
    asked.clear()
    engine.process([near_copy(log, COPIES)])
    assert set(asked) == {50, 60}


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_that_a_look_at_everything_finds(log: Log, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, DIMENSION)) + 1.2
    vectors = {
        f"i{n}": unit(centres[n % 3 if n < 150 else n % 12] + 0.1 * rng.normal(size=DIMENSION)) for n in range(220)
    }
    with closing(opened()) as engine:
        engine.process([log.upsert(id_, f"text of {id_}", vector=one.tolist()) for id_, one in vectors.items()])
        group_of = {id_: view.group for id_ in vectors if (view := engine.get(id_)) is not None}
        for id_ in ("i0", "i1", "i2", "i200"):
            best: dict[str, float] = {}
            for other_id, vector in vectors.items():
                if group_of[other_id] != group_of[id_]:
                    score = float(vector @ vectors[id_])
                    best[group_of[other_id]] = max(score, best.get(group_of[other_id], -1.0))
            expected = [group for group, score in sorted(best.items(), key=lambda one: -one[1]) if score >= 0.35][:5]
            assert [hit.group for hit in engine.recommend(id_, limit=5) or ()] == expected


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)
