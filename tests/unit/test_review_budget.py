"""The budget of ``review``: of the items that are for review the likeliest, by the order of the stream alone."""

from __future__ import annotations

import math
import random
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.owner.telemetry.metrics import Metrics
from recommender_engine import Entry, Item, ItemKey, Recommender
from recommender_engine.items import Band, ItemProcessed
from recommender_engine.opening import DATABASE
from recommender_engine.pipeline.dedup import review_budget
from recommender_engine.pipeline.dedup.review_budget import BELOW_BUDGET, FIRST
from recommender_engine.store import Arrived
from recommender_engine.store.tables import SCHEMA_VERSION
from recommender_engine.store.upgrades import UPGRADES
from tests.support.engine import Log, lines, opened
from tests.support.partitions import Pair

DIMENSION = 64
FOR_REVIEW = 0.5  # of the items
HUNDRED_LIKELIER = [*[0] * 95, 100, *[0] * 4]


def stream(log: Log, count: int, seed: int = 3, **fields: Any) -> list[Entry]:
    """Items of which every second is for review, with a cosine of 0.76 to 0.85 to the first."""
    chance = random.Random(seed)
    entries = []
    for number in range(count):
        cosine = 1.0 if not number else 0.0 if chance.random() > FOR_REVIEW else chance.uniform(0.76, 0.85)
        others = [chance.gauss(0, 1) for _ in range(DIMENSION - 1)]
        scale = math.sqrt((1 - cosine * cosine) / sum(one * one for one in others))
        vector = [cosine, *(scale * one for one in others)]
        entries.append(log.upsert(f"i{seed}-{number}", f"words of {seed}-{number}", vector=vector, **fields))
    return entries


def said(engine: Recommender, entries: list[Entry], batch: int = 50) -> list[ItemProcessed]:
    events = [
        event for start in range(0, len(entries), batch) for event in engine.process(entries[start : start + batch])
    ]
    return [event.data for event in events if isinstance(event.data, ItemProcessed)]


def share(verdicts: list[ItemProcessed]) -> float:
    return sum(one.band is Band.REVIEW for one in verdicts) / len(verdicts)


def below(one: ItemProcessed) -> bool:
    return BELOW_BUDGET in one.reasons


def test_without_a_budget_all_that_are_for_review_are_in_it(log: Log) -> None:
    engine = opened()
    engine.process([log.configure(review_budget=None)])
    verdicts = said(engine, stream(log, 200))
    assert share(verdicts) > 0.4
    assert not any(below(one) for one in verdicts)
    assert engine.stats()["collections"]["default"]["review_share"] == pytest.approx(share(verdicts), abs=1e-4)


@pytest.mark.parametrize("budget", [0.05, 0.15, 0.3])
def test_from_the_first_items_on_none_is_in_review_beyond_the_budget(log: Log, budget: float) -> None:
    engine = opened()
    engine.process([log.configure(review_budget=budget)])
    verdicts = said(engine, stream(log, 600))
    in_review = sum(one.band is Band.REVIEW for one in verdicts[:FIRST])
    for number, one in enumerate(verdicts[FIRST:], start=FIRST + 1):
        in_review += one.band is Band.REVIEW
        assert one.band is not Band.REVIEW or in_review <= budget * number
    assert share(verdicts) > 0.75 * budget
    assert engine.stats()["collections"]["default"]["review_share"] == pytest.approx(share(verdicts), abs=1e-4)


def test_those_in_review_are_the_likeliest_and_the_others_are_similar_and_say_so(log: Log) -> None:
    engine = opened()
    engine.process([log.configure(review_budget=0.15)])
    verdicts = said(engine, stream(log, 600))
    left = [one for one in verdicts if below(one)]
    later = [one.probability for one in verdicts[FIRST:] if one.band is Band.REVIEW]
    assert min(later) > sum(one.probability for one in left) / len(left)
    likeliest = sorted([*later, *(one.probability for one in left)], reverse=True)
    assert sum(one >= likeliest[len(later)] for one in later) > 0.75 * len(later)
    assert {one.band for one in left} == {Band.SIMILAR}
    assert all(one.explanation.endswith("; below the review budget") and one.matched_id for one in left)
    view = engine.get(left[0].item_id)
    assert view is not None
    assert (view.band, view.reasons) == (left[0].band, left[0].reasons)


def test_the_first_items_need_no_budget_and_a_collection_has_one_by_default(log: Log) -> None:
    engine = opened()
    verdicts = said(engine, stream(log, 300))
    assert not any(below(one) for one in verdicts[:FIRST])
    assert sum(one.band is Band.REVIEW for one in verdicts[:FIRST]) > 3
    assert any(below(one) for one in verdicts[FIRST:])
    assert share(verdicts) <= 0.15


def test_a_budget_of_one_leaves_all_in_it(log: Log) -> None:
    engine = opened()
    engine.process([log.configure(review_budget=1)])
    verdicts = said(engine, [log.upsert(f"one-{n}", f"word {n}", vector=[1.0, 0.02 * n]) for n in range(2)])
    verdicts += said(engine, stream(log, 200))
    assert not any(below(one) for one in verdicts)


@pytest.mark.parametrize(
    ("counts", "probability", "fits"),
    [
        (Arrived(items=20), 0.9, True),
        (Arrived(items=20), 0.3, False),  # nothing was for review yet, but as a rule more are likelier
        (Arrived(items=19), 0.01, True),
        (Arrived(items=1000), 0.3, True),  # nothing likelier in a thousand
        (Arrived(1000, 140, HUNDRED_LIKELIER), 0.8, True),
        (Arrived(1000, 148, HUNDRED_LIKELIER), 0.8, False),  # room for two, of whom this is not one
        (Arrived(1000, 148, HUNDRED_LIKELIER), 0.97, True),
        (Arrived(1000, 150, HUNDRED_LIKELIER), 0.99, False),
    ],
)
def test_what_is_usual_counts_at_first_and_room_is_kept_for_the_likeliest(
    counts: Arrived, probability: float, fits: bool
) -> None:
    assert review_budget.fits(0.15, counts, probability) is fits


def test_what_came_before_a_budget_tells_where_it_begins(log: Log) -> None:
    engine = opened()
    entries = stream(log, 400)
    said(engine, entries)
    engine.process([log.configure(review_budget=0.5)])
    more = said(engine, stream(log, 60, seed=4))
    assert not any(below(one) for one in more[:1])
    engine.process([log.configure(review_budget=0.05)])
    assert share(said(engine, stream(log, 60, seed=5))) == 0.0  # more are in review than it allows


def test_what_came_long_ago_counts_less(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_budget, "REMEMBERED", 64)
    engine = opened()
    said(engine, stream(log, 300))
    engine.process([log.configure(review_budget=0.2)])
    verdicts = said(engine, stream(log, 400, seed=4))
    assert share(verdicts[200:]) == pytest.approx(0.2, abs=0.05)
    (collection,) = engine._base.collections.all()
    assert collection.arrived.items <= 64


def test_duplicates_and_what_people_said_do_not_count_against_it(log: Log) -> None:
    engine = opened()
    engine.process([log.configure(review_budget=0.001)])
    twins = [log.upsert(f"t{n}", "the same words") for n in range(20)]
    assert [one.band for one in said(engine, twins)][1:] == [Band.DUPLICATE] * 19


def test_any_batching_and_a_restart_give_the_same(log: Log, tmp_path: Path) -> None:
    entries = [log.configure(review_budget=0.15), *stream(log, 300)]
    engine = opened()
    expected = lines(engine.process(entries))
    again, found = opened(tmp_path), []
    for start in range(0, len(entries), 7):
        found += lines(again.process(entries[start : start + 7]))
        if start % 70 == 0:
            again.close()
            again = opened(tmp_path)
    assert found == expected
    again.close()


def test_a_batch_that_is_undone_counts_nothing(log: Log) -> None:
    entries = [log.configure(review_budget=0.15), *stream(log, 200)]
    expected = lines(opened().process(entries))
    engine, failed = opened(), []
    found = lines(engine.process(entries[:100]))

    def once() -> None:
        if not failed:
            failed.append(True)
            raise OSError("the disk")

    engine._before_commit = once
    with pytest.raises(OSError, match="the disk"):
        engine.process(entries[100:])
    assert found + lines(engine.process(entries[100:])) == expected


def test_compare_says_what_the_budget_makes_of_it(log: Log) -> None:
    entries = [log.configure(review_budget=0.15), *stream(log, 200)]
    told = {one.item_id: one for one in said(opened(), entries)}
    engine, found = opened(), []
    engine.process(entries[:1])
    for entry in entries[1:]:
        item = entry.command
        assert isinstance(item, Item)
        expected = told[item.id]
        if expected.matched_id is not None:
            pair = engine.compare(item, ItemKey(id=expected.matched_id), collection="default")
            assert (pair.band, BELOW_BUDGET in pair.reasons) == (expected.band, below(expected))
            found.append(below(expected))
        engine.process([entry])
    assert 30 < sum(found) < len(found)


def test_a_move_takes_the_counts_along_and_a_deletion_clears_them(log: Log) -> None:
    pair = Pair()
    a = pair["a"]
    a.add("collection.configured", {"collection": "c", "settings": {"review_budget": 0.1}})
    a.entries += stream(a.log, 100, collection="c")
    a.decide()
    (before,) = a.engine._base.collections.all()
    assert before.arrived.items == 100
    assert before.arrived.review > 3
    for _ in pair.move():
        pass
    pair.settle()
    moved = pair["b"].engine._base.collections.find("c")
    assert moved is not None
    assert moved.arrived == before.arrived
    pair["b"].add("collection.deleted", {"collection": "c"})
    pair["b"].entries += stream(pair["b"].log, 1, collection="c")
    pair["b"].decide()
    anew = pair["b"].engine._base.collections.find("c")
    assert anew is not None
    assert (anew.arrived.items, sum(anew.arrived.likely)) == (1, 0)


def undo(database: sqlite3.Connection, upgrade: str) -> None:
    """Remove the indexes, columns and tables that an upgrade adds; it may do nothing else that matters here."""
    for index in re.findall(r"CREATE INDEX (\w+)", upgrade):
        database.execute(f"DROP INDEX {index}")
    for table in re.findall(r"CREATE TABLE (\w+)", upgrade):
        database.execute(f"DROP TABLE {table}")
    for table, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", upgrade):
        database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def test_a_state_of_the_release_before_begins_to_count(log: Log, tmp_path: Path) -> None:
    engine = opened(tmp_path)
    said(engine, stream(log, 50))
    engine.close()
    database = sqlite3.connect(tmp_path / DATABASE)
    for version in range(SCHEMA_VERSION, 6, -1):
        undo(database, UPGRADES[version])
    database.execute("PRAGMA user_version=6")
    database.commit()
    database.close()
    again = opened(tmp_path)
    assert again.stats()["collections"]["default"]["review_share"] == 0.0
    again.process([log.configure(review_budget=0.2)])
    assert 0 < share(said(again, stream(log, 100, seed=4))) <= 0.2
    again.close()


def test_the_share_is_a_metric(log: Log) -> None:
    engine, metrics = opened(), Metrics("default")
    engine.process([log.configure(review_budget=None)])
    said(engine, stream(log, 100))
    metrics.review(engine.review_share())
    found = metrics.registry.get_sample_value("recommender_review_share", {"partition": "default"})
    assert found == engine.review_share() > 0.3
