"""Items whose time is up go before the next command is handled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from recommender_engine import Event, Recommender
from recommender_engine.errors import EncodingError
from recommender_engine.pipeline.stream_time import expiry
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FailingEncoder
from tests.support.engine import (
    Log,
    assert_same_in_one_batch,
    at,
    corrections_of,
    data_of,
    group_changed,
    opened,
)

SHOP = "the card payment was declined at the shop"
TTL_MS = 60_000


def told(events: Sequence[Event]) -> list[str]:
    """Type and item of each event."""
    data = [data_of(event) for event in events]
    return [
        " ".join([one["type"].split(".")[2], str(one.get("item_id") or one.get("change") or "")]).strip()
        for one in data
    ]


def test_an_item_goes_when_its_time_is_up_and_not_before(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("a", SHOP)])
    assert engine.process([log.tick(later_ms=TTL_MS - 1)]) == []
    tick = log.tick()
    (event,) = engine.process([tick])
    assert data_of(event) == {
        "type": "recommender.item.deleted.v1",
        "command": {"id": str(tick.id), "key": None},
        "item_id": "a",
        "collection": "default",
        "erased": False,
        "expired": True,
    }
    assert engine.get("a") is None
    assert engine.stats()["collections"]["default"]["points"] == 0


def test_it_is_gone_before_the_command_that_comes_with_the_hour(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("a", SHOP)])
    events = engine.process([log.upsert("b", SHOP, later_ms=TTL_MS)])
    assert told(events) == ["deleted a", "processed b"]
    assert data_of(events[1])["band"] == "new"


def test_what_its_going_changes_is_said(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("a", SHOP)])
    engine.process([log.upsert("b", SHOP, later_ms=1000)])
    events = engine.process([log.tick(later_ms=TTL_MS - 1000)])
    assert told(events) == ["deleted a", "changed left", "changed canonical_changed", "revised b"]
    assert corrections_of(events)[0] == group_changed("g1", "left", ["a"], size=1, canonical="b")
    assert corrections_of(events)[2]["cause"] == "item_expired"


def test_of_items_that_go_together_nothing_is_said_again(engine: Recommender, log: Log) -> None:
    entries = [log.upsert(f"i{n}", SHOP, later_ms=0) for n in range(20)]
    engine.process([log.configure(ttl_seconds=60), *entries, log.upsert("left", SHOP, later_ms=1)])
    events = engine.process([log.tick(later_ms=TTL_MS - 1)])
    assert [one for one in told(events) if one.startswith("deleted")] == [f"deleted i{n}" for n in range(20)]
    assert [one for one in told(events) if one.startswith("revised")] == ["revised left"]
    revised = corrections_of(events)[-1]
    assert (revised["previous_duplicate_of"], revised["band"]) == ("i0", "new")


def test_a_quiet_stream_knows_when_the_next_item_is_due(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("never", SHOP, collection="other")])
    assert engine.due_ms() is None
    engine.process([log.configure(ttl_seconds=60)])
    assert engine.due_ms() is None
    first, second = log.upsert("a", SHOP), log.upsert("b", SHOP, later_ms=500)
    engine.process([first, second])
    assert engine.due_ms() == first.time_ms + TTL_MS
    engine.process([log.tick(later_ms=TTL_MS - 500)])
    assert engine.due_ms() == second.time_ms + TTL_MS
    engine.process([log.tick(later_ms=500)])
    assert engine.due_ms() is None
    assert engine.get("never", "other") is not None


def test_an_edit_begins_anew_and_the_same_text_again_does_not(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("edited", SHOP), log.upsert("same", SHOP)])
    engine.process([log.upsert("edited", "another", later_ms=30_000), log.upsert("same", SHOP, attributes={"x": 1})])
    events = engine.process([log.tick(later_ms=30_000)])
    assert [one for one in told(events) if one.startswith("deleted")] == ["deleted same"]


def test_a_shorter_life_holds_for_what_is_there_from_the_next_command_on(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.tick(later_ms=100_000)])
    events = engine.process([log.configure(ttl_seconds=60), log.upsert("b", SHOP)])
    assert told(events) == ["configured", "deleted a", "processed b"]


def test_silent_items_expire_aloud(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("a", SHOP, silent=True)])
    events = engine.process([log.tick(later_ms=TTL_MS)])
    assert [event.silent for event in events if told([event]) == ["deleted a"]] == [False]


def test_an_expired_item_may_come_back(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("a", SHOP)])
    events = engine.process([log.upsert("a", SHOP, later_ms=TTL_MS)])
    assert told(events) == ["deleted a", "processed a"]
    assert data_of(events[1])["revision"] == 1


def test_a_late_upsert_does_not_bring_an_expired_item_back(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60), log.upsert("a", SHOP, version=5)])
    events = engine.process([log.upsert("a", SHOP, version=4, later_ms=TTL_MS)])
    assert told(events) == ["deleted a", "ignored a"]


def test_many_that_are_due_go_a_few_at_a_time(engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(expiry, "MOST_ON_A_TICK", 3)
    engine.process(
        [log.configure(ttl_seconds=60), *(log.upsert(f"i{n}", f"t{n}", vector=at(100 * n)) for n in range(8))]
    )
    left = [8, 5, 2, 0]
    for count in left[1:]:
        assert engine.due_ms() is not None
        engine.process([log.tick(later_ms=TTL_MS)])
        assert engine.stats()["items"] == count
        assert engine.search("t7") == []
    assert engine.due_ms() is None


def test_expiry_and_answers_survive_a_restart(tmp_path: Path, log: Log) -> None:
    engine = opened(tmp_path)
    entry = log.upsert("a", SHOP)
    engine.process([log.configure(ttl_seconds=60), entry])
    engine.close()
    again = opened(tmp_path)
    assert again.due_ms() == entry.time_ms + TTL_MS
    assert told(again.process([log.tick(later_ms=TTL_MS)])) == ["deleted a"]
    again.close()


# -- one batch or many -------------------------------------------------------------------------------------------------


def test_places_among_the_neighbours_that_expiry_frees_are_filled(log: Log) -> None:
    crowd = [log.upsert(f"near {n}", f"t{n}", vector=at(35 + n / 10)) for n in range(14)]
    before = [log.configure(candidates=1, ttl_seconds=60), *crowd]
    far = log.upsert("far", "far away", vector=at(60), later_ms=30_000)
    batch = [log.tick(later_ms=1), log.upsert("q", "question", vector=at(0), later_ms=30_000)]
    events = assert_same_in_one_batch([*before, far], batch)
    assert data_of(events[-1])["matched_id"] == "far"


def test_repeats_of_a_key_move_the_clock_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_AT_ONCE", 2)
    crowd = [log.upsert(f"near {n}", f"t{n}", vector=at(35 + n / 10)) for n in range(8)]
    far = log.upsert("far", "far away", vector=at(60), later_ms=30_000)
    before = [
        log.configure(candidates=1, ttl_seconds=60),
        *crowd,
        far,
        log.upsert("k", "other", vector=at(180), key="k"),
    ]
    repeats = [log.upsert("k", "other", key="k", later_ms=30_000 if n == 0 else 0) for n in range(6)]
    events = assert_same_in_one_batch(before, [*repeats, log.upsert("q", "question", vector=at(0))])
    assert data_of(events[-1])["matched_id"] == "far"


def test_items_can_arrive_and_expire_in_one_batch(log: Log) -> None:
    batch = [
        log.configure(ttl_seconds=60),
        log.upsert("a", SHOP),
        log.upsert("b", SHOP, later_ms=40_000),
        log.upsert("c", f"{SHOP}s", later_ms=40_000),
        log.upsert("d", SHOP, later_ms=40_000),
        log.tick(later_ms=200_000),
    ]
    events = assert_same_in_one_batch([], batch)
    assert [one for one in told(events) if one.startswith("deleted")] == [f"deleted {id_}" for id_ in "abcd"]


# -- which collections expire is kept in memory ------------------------------------------------------------------------


def test_a_time_to_live_holds_from_the_command_that_sets_it_until_the_one_that_takes_it_away(
    engine: Recommender, log: Log
) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP, collection="other")])
    assert engine.process([log.tick(later_ms=TTL_MS)]) == []
    engine.process([log.configure(ttl_seconds=3600)])
    assert told(engine.process([log.configure(ttl_seconds=60)])) == ["configured"]
    assert told(engine.process([log.tick()])) == ["deleted a"]
    engine.process([log.configure("other", ttl_seconds=90)])
    engine.process([log.configure("other")])
    assert engine.process([log.tick(later_ms=TTL_MS)]) == []
    assert engine.get("b", "other") is not None


def test_a_time_to_live_set_in_a_batch_that_fails_does_not_hold(log: Log) -> None:
    encoder = FailingEncoder(DeterministicEncoder())
    engine = opened(None, encoder)
    engine.process(
        [log.upsert("a", SHOP), log.configure("kept", ttl_seconds=60), log.upsert("k", SHOP, collection="kept")]
    )
    encoder.failing = True
    with pytest.raises(EncodingError, match="the model fails"):
        engine.process([log.configure(ttl_seconds=60), log.configure("kept"), log.upsert("b", "a text of its own")])
    encoder.failing = False
    assert told(engine.process([log.tick(later_ms=TTL_MS)])) == ["deleted k"]
    assert engine.get("a") is not None
    engine.close()
