"""Policies of collections: which two items may be duplicates at all, rule by rule."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.items import CollectionSettings, Item, ItemProcessed
from recommender_engine.policy import Dated, allows, restricts
from tests.support.engine import Log, at, data_of

SHOP = "the card payment was declined at the shop"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def originals(engine: Recommender, *entries: Entry) -> list[str | None]:
    """Of each item that was processed, what it repeats."""
    events = engine.process(entries)
    return [event.data.duplicate_of for event in events if isinstance(event.data, ItemProcessed)]


# -- the rules by themselves -------------------------------------------------------------------------------------------


def dated(attributes: dict[str, Any] | None = None, *, at_ms: int = 0, **fields: Any) -> Dated:
    said: dict[str, Any] = {"id": "a", "attributes": attributes or {}, **fields}
    if "fields" not in said:
        said.setdefault("text", SHOP)
    return Dated(Item.model_validate(said), at_ms)


@pytest.mark.parametrize(
    ("settings", "later", "earlier", "expected"),
    [
        pytest.param({}, dated(), dated({"who": 1}, at_ms=10**12), True, id="no rule"),
        pytest.param({"equal": ["who"]}, dated({"who": "x"}), dated({"who": "x"}), True, id="equal"),
        pytest.param({"equal": ["who"]}, dated({"who": "x"}), dated({"who": "X"}), False, id="not equal"),
        pytest.param({"equal": ["who"]}, dated({"who": 1}), dated({"who": 1.0}), True, id="equal numbers"),
        pytest.param({"equal": ["who"]}, dated({"who": 1}), dated({"who": "1"}), False, id="a number and a string"),
        pytest.param({"equal": ["who"]}, dated({"who": 1}), dated({"who": True}), False, id="a number and a boolean"),
        pytest.param({"only": {"open": [1]}}, dated(), dated({"open": True}), False, id="only 1, not true"),
        pytest.param({"equal": ["who"]}, dated({"who": "x"}), dated(), False, id="missing on one side"),
        pytest.param({"equal": ["who"]}, dated(), dated({"who": None}), True, id="missing on both sides"),
        pytest.param({"equal": ["who"]}, dated({"who": [1, 2]}), dated({"who": [1.0, 2]}), True, id="equal lists"),
        pytest.param({"equal": ["who"]}, dated({"who": [1, 2]}), dated({"who": [2, 1]}), False, id="lists in order"),
        pytest.param({"equal": ["who"]}, dated({"who": ["x"]}), dated({"who": "x"}), False, id="list and element"),
        pytest.param({"only": {"tag": ["a"]}}, dated(), dated({"tag": ["b", "a"]}), True, id="only with an element"),
        pytest.param({"only": {"tag": ["a"]}}, dated(), dated({"tag": ["b"]}), False, id="only without an element"),
        pytest.param(
            {"equal": ["who", "what"]},
            dated({"who": 1, "what": 2}),
            dated({"who": 1, "what": 3}),
            False,
            id="one of two",
        ),
        pytest.param(
            {"equal": ["brand"]},
            dated(fields={"title": "a", "brand": "Acme"}),
            dated(fields={"title": "b", "brand": "Acme"}),
            True,
            id="equal fields",
        ),
        pytest.param(
            {"equal": ["brand"]},
            dated(fields={"title": "a", "brand": "Acme"}),
            dated({"brand": "Other"}, fields={"title": "a", "brand": "Acme"}),
            False,
            id="an attribute goes before a field",
        ),
        pytest.param({"only": {"status": ["open"]}}, dated(), dated({"status": "open"}), True, id="only open"),
        pytest.param({"only": {"status": ["open"]}}, dated({"status": "open"}), dated(), False, id="of the earlier"),
        pytest.param({"only": {"status": ["open", None]}}, dated(), dated(), True, id="open or none"),
        pytest.param({"window_seconds": 60}, dated(at_ms=60_000), dated(), True, id="within the window"),
        pytest.param({"window_seconds": 60}, dated(at_ms=60_001), dated(), False, id="behind the window"),
        pytest.param(
            {"window_seconds": 60},
            dated(at_ms=10**12, timestamp=NOON),
            dated(timestamp=NOON + timedelta(seconds=60)),
            True,
            id="their own times, in any order",
        ),
        pytest.param(
            {"window_seconds": 60},
            dated(timestamp=NOON),
            dated(timestamp=NOON - timedelta(seconds=61)),
            False,
            id="their own times, too far apart",
        ),
        pytest.param(
            {"window_seconds": 60},
            dated(timestamp=NOON),
            dated(at_ms=int(NOON.timestamp()) * 1000 + 1000),
            True,
            id="its own time against an arrival",
        ),
        pytest.param({"min_length": len(SHOP)}, dated(), dated(), True, id="long enough"),
        pytest.param({"min_length": len(SHOP)}, dated(text=SHOP[:-1]), dated(), False, id="the later is too short"),
        pytest.param({"min_length": len(SHOP)}, dated(), dated(text=SHOP[:-1]), False, id="the earlier is too short"),
    ],
)
def test_rules(settings: dict[str, Any], later: Dated, earlier: Dated, expected: bool) -> None:
    policy = CollectionSettings.model_validate(settings)
    assert allows(policy, later, earlier) is expected
    assert restricts(policy) is bool(settings)


# -- in the engine -----------------------------------------------------------------------------------------------------


def test_only_items_with_equal_attributes_repeat_each_other(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(equal=["who"])])
    entries = [log.upsert(f"{who}{n}", SHOP, attributes={"who": who}) for n in (1, 2) for who in "ab"]
    assert originals(engine, *entries) == [None, None, "a1", "b1"]
    near = [log.upsert(f"{who}3", f"{SHOP}s", attributes={"who": who}) for who in "abc"]
    assert originals(engine, *near) == ["a1", "b1", None]


def test_a_twin_is_found_behind_many_that_the_policy_forbids(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(equal=["who"])])
    entries = [log.upsert(f"i{n}", SHOP, attributes={"who": n}) for n in range(100)]
    assert originals(engine, *entries) == [None] * 100
    again = [log.upsert(f"j{n}", SHOP, attributes={"who": n}) for n in (0, 50, 99)]
    assert originals(engine, *again) == ["i0", "i50", "i99"]


def test_a_near_duplicate_is_found_behind_many_twins_that_the_policy_forbids(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(equal=["who"])])
    engine.process([log.upsert(f"i{n}", SHOP, attributes={"who": n}) for n in range(30)])
    assert originals(engine, log.upsert("j", f"{SHOP}s", attributes={"who": 29})) == ["i29"]


def test_only_open_items_are_repeated_and_a_patch_can_close_one(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(only={"status": ["open"]})])
    assert originals(
        engine,
        log.upsert("a", SHOP, attributes={"status": "open"}),
        log.upsert("b", SHOP, attributes={"status": "closed"}),
        log.patch("a", {"status": "closed"}),
        log.upsert("c", SHOP, attributes={"status": "open"}),
        log.patch("a", {"status": "open"}),
        log.upsert("d", SHOP),
    ) == [None, "a", None, "a"]


def test_a_window_is_measured_by_arrival_or_by_the_items_own_time(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(window_seconds=60)])
    assert originals(
        engine,
        log.upsert("a", SHOP),
        log.upsert("b", SHOP, later_ms=60_000),
        log.upsert("c", SHOP, later_ms=60_001),
    ) == [None, "a", None]
    by_own_time = [
        log.upsert(f"t{n}", f"{SHOP} by card", timestamp=(NOON + timedelta(seconds=seconds)).isoformat())
        for n, seconds in enumerate((0, 3600, 30))
    ]
    assert originals(engine, *by_own_time) == [None, None, "t0"]


def test_short_texts_are_never_duplicates(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(min_length=20)])
    assert originals(engine, *(log.upsert(id_, "refund") for id_ in "ab")) == [None, None]
    assert originals(engine, *(log.upsert(id_, SHOP) for id_ in "cd")) == [None, "c"]


def test_a_policy_holds_for_every_band(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(equal=["who"]), log.upsert("a", "one", vector=at(0), attributes={"who": 1})])
    for degrees in (0, 38, 60):
        (event,) = engine.process([log.upsert("b", "two", vector=at(degrees), attributes={"who": 2})])
        told = data_of(event)
        assert (told["band"], told["matched_id"], told["probability"]) == ("new", None, 0.0)


def test_a_policy_does_not_hide_recommendations(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(equal=["who"]), log.upsert("a", SHOP, attributes={"who": 1})])
    (event,) = engine.process([log.upsert("b", SHOP, attributes={"who": 2})])
    assert [one["id"] for one in data_of(event)["recommendations"]] == ["a"]


def test_a_new_policy_holds_for_what_comes_and_leaves_groups_as_they_are(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP)])
    assert originals(engine, log.configure(min_length=1000), log.upsert("c", SHOP)) == [None]
    view = engine.get("b")
    assert view is not None
    assert view.duplicate_of == "a"


def test_a_question_that_is_asked_anew_obeys_the_policy(engine: Recommender, log: Log) -> None:
    engine.process(
        [
            log.configure(equal=["who"]),
            log.upsert("a", "first", vector=at(0), attributes={"who": 1}),
            log.upsert("b", "second", vector=at(76), attributes={"who": 2}),
            log.upsert("q", "question", vector=at(38), attributes={"who": 1}),
            log.delete("a"),
        ]
    )
    view = engine.get("q")
    assert view is not None
    assert (view.band, view.matched_id) == ("new", None)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"equals": ["who"]}, "settings.equals"),
        ({"equal": "who"}, "settings.equal"),
        ({"equal": [7]}, "settings.equal.0"),
        ({"only": {"status": "open"}}, "settings.only.status"),
        ({"window_seconds": "1 day"}, "settings.window_seconds"),
        ({"window_seconds": 0}, "settings.window_seconds"),
        ({"min_length": -1}, "settings.min_length"),
        ({"canonical": "best"}, "settings.canonical"),
        ({"target_precision": 95}, "settings.target_precision"),
        ({"review_from": -1}, "settings.review_from"),
        ({"ttl_seconds": 1.5}, "settings.ttl_seconds"),
        ({"duplicate_from": 0.9}, "settings.duplicate_from"),
    ],
)
def test_a_wrong_key_names_itself(engine: Recommender, log: Log, settings: dict[str, Any], field: str) -> None:
    (event,) = engine.process([log.configure(**settings)])
    refused = data_of(event)
    assert (refused["type"], refused["field"]) == ("recommender.command.rejected.v1", field)
    assert refused["message"].startswith(f"{field}: ")
    assert json.loads(refused["payload"])["settings"] == settings
    assert engine.stats()["collections"] == {}
