"""Subscribed lists are told when they changed: which, when, in any batching, and at a bounded cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt
from random import Random
from typing import Any

import pytest

from recommender_engine import Entry, Event, Recommender
from recommender_engine.items import (
    CommandIgnored,
    CommandRejected,
    ItemProcessed,
    RecommendationsSubscribed,
    RecommendationsUpdated,
)
from recommender_engine.pipeline.recommend import updates
from recommender_engine.pipeline.recommend.updates import changed_share
from recommender_engine.pipeline.subscriptions import changed_lists
from tests.support.engine import Log, opened, outbox_lines

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
TABLES = ("subscriptions", "listed_items", "list_changes", "users", "used_items", "sessions")


class Shop:
    """An engine with a few products, and what it tells of their lists."""

    def __init__(self, **settings: Any) -> None:
        self.log, self.engine = Log(), opened()
        self._axes: dict[tuple[str, bool], int] = {}
        self.told: list[RecommendationsUpdated] = []
        self._read = 0
        if settings:
            self.do(self.log.configure(**settings))

    def do(self, *entries: Entry) -> list[Event]:
        events = self.engine.process(entries)
        self.told += [one.data for one in events if isinstance(one.data, RecommendationsUpdated)]
        return events

    def product(self, name: str, *, alike: bool = True, **fields: Any) -> Entry:
        """A product; two that are alike have a cosine of 0.6: similar, and no duplicates."""
        axis = self._axes.setdefault((name, alike), len(self._axes) + 1)
        vector = [sqrt(0.6) if alike else 0.0, *[0.0] * 63]
        vector[axis] = sqrt(0.4) if alike else 1.0
        return self.log.upsert(name, f"text of {name}", vector=vector, **fields)

    def upsert(self, *names: str, **fields: Any) -> None:
        for name in names:
            self.do(self.product(name, **fields))

    def subscribe(self, later_ms: int = 1, **which: Any) -> Event:
        return self.do(self.log.add("recommendations.subscribed", data=which, later_ms=later_ms))[-1]

    def news(self, later_ms: int = MINUTE_MS) -> list[RecommendationsUpdated]:
        """What was told since this was asked last, and what is told now that time has passed."""
        self.do(self.log.tick(later_ms))
        told, self._read = self.told[self._read :], len(self.told)
        return told


def ids(told: RecommendationsUpdated) -> list[str]:
    return [one.id for one in told.recommendations]


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.upsert("red mug", "blue mug")
    return shop


def test_a_list_is_told_at_first_and_a_later_arrival_enters_it(shop: Shop) -> None:
    outcome = shop.subscribe(item="red mug")
    assert isinstance(outcome.data, RecommendationsSubscribed)
    assert outcome.data.subscribed
    (first,) = shop.news()
    assert (first.item_id, first.user, ids(first), first.came, first.went) == (
        "red mug",
        None,
        ["blue mug"],
        ("blue mug",),
        (),
    )
    assert first.recommendations[0].why == "similar to red mug"
    shop.upsert("green mug")
    (second,) = shop.news()
    assert second.came == ("green mug",)
    assert set(ids(second)) == {"blue mug", "green mug"}
    assert ids(second) == [one.id for one in shop.engine.recommendations({"item": "red mug"}) or ()]


def test_what_has_not_changed_is_not_told(shop: Shop) -> None:
    shop.subscribe(item="red mug")
    shop.news()
    shop.do(shop.product("chair", alike=False), shop.log.patch("blue mug", {"price": 3}))
    shop.upsert("red mug", "blue mug")
    assert shop.news() == []
    assert shop.engine.due_ms() is None


def test_a_new_item_is_in_its_own_event_and_in_the_lists_of_users_whose_interests_it_meets(shop: Shop) -> None:
    shop.do(shop.log.interact("red mug", "ann", kind="buy"))
    shop.upsert(*(f"lamp {n}" for n in range(12)), alike=False)
    (processed,) = shop.do(shop.product("green mug"))
    assert isinstance(processed.data, ItemProcessed)
    assert {"red mug", "blue mug"} <= {one.id for one in processed.data.recommendations}
    shop.do(shop.log.interact("blue mug", "ann"))  # the next interaction
    listed = shop.engine.recommendations({"user": "ann", "limit": 3})
    assert listed is not None
    assert listed[0].id == "green mug"
    assert listed[0].why == "like blue mug; new"


def test_a_user_is_told_of_an_arrival_and_after_an_interaction(shop: Shop) -> None:
    shop.do(shop.log.interact("red mug", "ann", kind="buy"))
    shop.subscribe(user="ann")
    (first,) = shop.news()
    assert (first.user, first.item_id, ids(first)) == ("ann", None, ["blue mug"])
    shop.upsert("green mug")
    (second,) = shop.news()
    assert second.came == ("green mug",)
    shop.do(shop.log.interact("green mug", "ann"))
    (third,) = shop.news()
    assert third.went == ("green mug",)


def test_partners_change_the_lists_of_both_items(shop: Shop) -> None:
    shop.upsert("sugar bowl", "tea strainer")
    shop.subscribe(item="blue mug")
    shop.subscribe(item="tea strainer")
    assert {one.item_id: ids(one)[0] for one in shop.news()} == {"blue mug": "red mug", "tea strainer": "red mug"}
    for user in ("ann", "bob", "cem"):
        shop.do(shop.log.interact("blue mug", user), shop.log.interact("tea strainer", user))
    told = {one.item_id: one for one in shop.news()}
    assert ids(told["blue mug"])[0] == "tea strainer"
    assert ids(told["tea strainer"])[0] == "blue mug"
    assert told["blue mug"].recommendations[0].why.startswith("often used together with blue mug")


def test_a_deleted_item_leaves_every_list_and_has_none(shop: Shop) -> None:
    shop.upsert(*(f"mug number {n}" for n in range(20)))
    for name in ("red mug", "blue mug"):
        shop.subscribe(item=name)
    shop.news()
    last = {one.item_id: ids(one)[-1] for one in shop.told}
    for name in set(last.values()):
        shop.do(shop.log.delete(name))
    told = {one.item_id: one for one in shop.news()}
    for name, gone in last.items():
        assert gone in told[name].went, "also where one place of ten is less than the least change"
        assert gone not in ids(told[name])
    shop.do(shop.log.delete("red mug"))
    shop.upsert("red mug")
    assert {one.item_id for one in shop.news()} <= {"blue mug"}, "a subscription ends with its item"


def test_an_erased_and_an_expired_item_leave_likewise() -> None:
    shop = Shop(ttl_seconds=3600)
    shop.upsert("red mug")
    shop.do(shop.log.tick(HOUR_MS // 2))
    shop.upsert("blue mug", "green mug")
    shop.subscribe(item="blue mug")
    (first,) = shop.news(1)
    assert set(ids(first)) == {"red mug", "green mug"}
    (second,) = shop.news(HOUR_MS // 2)
    assert (second.went, ids(second)) == (("red mug",), ["green mug"])
    shop.do(shop.log.erase("green mug"))
    (third,) = shop.news()
    assert (third.went, ids(third)) == (("green mug",), [])


def test_a_patch_that_fails_the_filter_of_a_list_is_told() -> None:
    shop = Shop(scenarios={"page": {"filter": {"stock": {"$gt": 0}}}})
    shop.upsert("red mug", "blue mug", "green mug", attributes={"stock": 3})
    shop.subscribe(item="red mug", scenario="page")
    (first,) = shop.news()
    assert first.scenario == "page"
    assert set(ids(first)) == {"blue mug", "green mug"}
    shop.do(shop.log.patch("blue mug", {"stock": 0}))
    (second,) = shop.news()
    assert (second.went, ids(second)) == (("blue mug",), ["green mug"])
    shop.upsert("green mug", attributes={"stock": 0})
    (third,) = shop.news()
    assert ids(third) == []


def test_an_edited_text_changes_the_lists_that_held_the_item(shop: Shop) -> None:
    shop.subscribe(item="red mug")
    shop.news()
    shop.do(shop.product("blue mug", alike=False))
    (told,) = shop.news()
    assert told.went == ("blue mug",)


def test_of_items_that_became_one_group_one_stays(shop: Shop) -> None:
    shop.upsert("green mug")
    shop.subscribe(item="red mug")
    (first,) = shop.news()
    assert set(ids(first)) == {"blue mug", "green mug"}
    shop.do(shop.log.feedback("green mug", "same", "blue mug"))
    (second,) = shop.news()
    assert ids(second) == ["blue mug"]


def test_a_list_is_made_at_most_once_in_an_interval() -> None:
    shop = Shop(push={"min_interval_seconds": 600})
    shop.upsert("red mug", "blue mug")
    shop.subscribe(item="red mug")
    assert len(shop.news(100)) == 1
    shop.upsert("green mug")
    assert shop.news(9 * MINUTE_MS) == []
    due = shop.engine.due_ms()
    assert due is not None
    (told,) = shop.news(MINUTE_MS)
    assert due <= shop.engine._store.clock_ms
    assert told.came == ("green mug",)


def test_only_what_differs_enough_is_told() -> None:
    shop = Shop(push={"least_change": 0.6})
    shop.upsert("red mug", "blue mug", "green mug", "white mug")
    shop.subscribe(item="red mug")
    assert len(shop.news()) == 1
    shop.upsert("black mug")
    assert shop.news() == [], "one place of four"
    assert changed_share("abcd", "abdc") == 0.5
    assert changed_share("abc", "ab") == pytest.approx(1 / 3)
    assert changed_share("", "") == 0.0


def test_settings_ask_for_the_lists_of_all_items_and_users(shop: Shop) -> None:
    shop.do(
        shop.log.interact("red mug", "ann", kind="buy"),
        shop.log.add("interaction.recorded", item="red mug", session="s"),
    )
    shop.do(shop.log.configure(push={"items": True, "users": True}))
    told = [*shop.news(), *shop.news(), *shop.news()]
    assert {(one.item_id, one.user) for one in told} == {("red mug", None), ("blue mug", None), (None, "ann")}
    shop.upsert("green mug")
    shop.do(shop.log.interact("green mug", "bob"))
    told = [*shop.news(), *shop.news()]
    assert {"green mug"} < {one.item_id for one in told}
    assert {"ann", "bob"} <= {one.user for one in told}
    shop.do(shop.log.configure())
    shop.news()
    shop.news()
    shop.upsert("white mug")
    assert shop.news() == []
    assert rows(shop.engine, "subscriptions", "listed_items", "list_changes") == [[], [], []]


def test_a_command_asks_beside_the_settings_and_ends_only_its_own(shop: Shop) -> None:
    shop.do(shop.log.configure(push={"items": True}))
    shop.news()
    shop.subscribe(item="red mug")
    shop.do(shop.log.configure())
    shop.news()
    shop.upsert("green mug")
    assert {one.item_id for one in shop.news()} == {"red mug"}
    (ended,) = shop.do(shop.log.add("recommendations.unsubscribed", item="red mug"))
    assert isinstance(ended.data, RecommendationsSubscribed)
    assert not ended.data.subscribed
    shop.upsert("white mug")
    assert shop.news() == []
    shop.do(shop.log.configure(push={"items": True}))
    shop.news()
    shop.do(shop.log.add("recommendations.unsubscribed", item="blue mug"))
    shop.upsert("black mug")
    assert "blue mug" in {one.item_id for one in [*shop.news(), *shop.news()]}, "the settings ask for it"


def test_a_scenario_that_has_changed_or_gone(shop: Shop) -> None:
    shop.do(shop.log.configure(scenarios={"page": {"limit": 1}}))
    shop.upsert("green mug")
    shop.subscribe(item="red mug", scenario="page")
    (first,) = shop.news()
    assert len(first.recommendations) == 1
    shop.do(shop.log.configure(scenarios={"page": {"limit": 2}}))
    (second,) = shop.news()
    assert len(second.recommendations) == 2
    shop.do(shop.log.configure())
    assert shop.news() == [], "a list that cannot be made stays as it was told"
    shop.do(shop.log.configure(scenarios={"page": {"limit": 1}}))
    (third,) = shop.news()
    assert len(third.recommendations) == 1


@pytest.mark.parametrize(
    ("which", "code"),
    [
        ({"item": "red mug", "user": "ann"}, "invalid_value"),
        ({}, "invalid_value"),
        ({"item": "red mug", "scenario": "none"}, "unknown_scenario"),
    ],
)
def test_what_is_wrong_is_named(shop: Shop, which: dict[str, str], code: str) -> None:
    event = shop.subscribe(**which)
    assert isinstance(event.data, CommandRejected)
    assert event.data.code == code


def test_an_item_that_is_not_there_has_no_subscription(shop: Shop) -> None:
    event = shop.subscribe(item="no such mug")
    assert isinstance(event.data, CommandIgnored)
    (wrong,) = shop.do(shop.log.configure(push={"users": "home"}))
    assert isinstance(wrong.data, CommandRejected)
    assert (wrong.data.code, wrong.data.field) == ("unknown_scenario", "settings.push.users")


def test_an_erased_user_is_told_nothing_and_is_in_no_table() -> None:
    shop = Shop(push={"users": True})
    shop.upsert("red mug", "blue mug")
    shop.do(shop.log.interact("red mug", "Ms Unusual"))
    shop.do(shop.log.add("recommendations.subscribed", {"user": "Ms Unusual"}, key="Ms Unusual subscribes"))
    shop.do(shop.log.add("item.patch", {"id": "red mug", "attributes": {"n": 1}}, key="for Mr Usual", later_ms=200))
    (told,) = shop.news()
    assert (told.user, told.command.key) == ("Ms Unusual", None), "the key may name somebody else"
    assert "Unusual" in dump(shop.engine)
    shop.do(shop.log.add("user.erased", user="Ms Unusual"))
    assert "Unusual" not in dump(shop.engine)
    redacted = shop.engine._store._db.execute("SELECT count(*) FROM redactions").fetchone()[0]
    assert redacted == 2, "what was told, and the outcome of the subscription, leave the stream"
    shop.upsert("green mug")
    assert shop.news() == []


def test_a_merged_session_changes_the_list_of_the_user(shop: Shop) -> None:
    shop.subscribe(user="ann")
    shop.news()
    shop.do(shop.log.add("interaction.recorded", item="blue mug", session="s"))
    assert shop.news() == []
    shop.do(shop.log.add("user.merged", user="ann", session="s"))
    (told,) = shop.news()
    assert told.went == ("blue mug",)


def test_a_change_that_concerns_many_lists_is_worked_off_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_lists, "MARKED_AT_ONCE", 7)
    monkeypatch.setattr(updates, "MADE_ON_A_TICK", 5)
    shop = Shop()
    names = [f"mug number {n}" for n in range(30)]
    shop.upsert("the mug", *names)
    for name in names:
        shop.subscribe(item=name, later_ms=1)
    while shop.news():
        pass
    holding = {one.item_id for one in _last(shop.told) if "the mug" in ids(one)}
    assert len(holding) > 10
    shop.do(shop.log.delete("the mug"))
    before, most, ticks = len(shop.told), 0, 0
    while shop.engine.due_ms() is not None:
        told = shop.news()
        most, ticks = max(most, len(told)), ticks + 1
    assert most <= 5
    assert ticks >= 3
    assert holding <= {one.item_id for one in shop.told[before:]}
    assert not any("the mug" in ids(one) for one in _last(shop.told))


def _last(told: Sequence[RecommendationsUpdated]) -> Iterator[RecommendationsUpdated]:
    return iter({(one.item_id, one.user, one.scenario): one for one in told}.values())


def test_on_a_busy_stream_a_few_lists_are_made_before_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    names = [f"mug number {n}" for n in range(30)]
    shop.upsert(*names)
    entries = [shop.log.add("recommendations.subscribed", item=name) for name in names]
    entries += [shop.log.patch("mug number 1", {"n": n}, later_ms=60) for n in range(40)]
    events = shop.engine.process(entries)
    told: dict[str, int] = {}
    for event in events:
        if isinstance(event.data, RecommendationsUpdated):
            told[event.data.command.id] = told.get(event.data.command.id, 0) + 1
    assert max(told.values()) <= updates.MADE_AT_ONCE
    times = sorted(int(id_.partition("-")[0]) for id_ in told)
    assert all(later - one >= changed_lists.TURN_MS for one, later in pairwise(times))
    assert sum(told.values()) >= 30


def traffic(seed: int, count: int) -> list[Entry]:  # noqa: C901 (one branch a command)
    """Commands of all kinds that change lists, among subscriptions."""
    random, log = Random(seed), Log()
    push = {"items": "page", "users": True, "min_interval_seconds": 30, "least_change": 0.0}
    scenarios = {"page": {"filter": {"stock": {"$gt": 0}}, "limit": 5}}
    entries = [log.configure(scenarios=scenarios)]
    for _ in range(count):
        item, user = f"i{random.randrange(25)}", f"u{random.randrange(5)}"
        later = random.choice((1, 40, 1000, 20_000, 60_000))
        roll = random.random()
        if roll < 0.3:
            kind = random.choice(("mug", "lamp", "chair"))
            text = f"{random.choice(('blue', 'red'))} {kind} number {random.randrange(12)}"
            entries.append(log.upsert(item, text, attributes={"stock": random.randrange(3)}, later_ms=later))
        elif roll < 0.38:
            entries.append(log.patch(item, {"stock": random.randrange(3)}, later_ms=later))
        elif roll < 0.42:
            entries.append(log.delete(item, later_ms=later))
        elif roll < 0.52:
            which = {"item": item} if random.random() < 0.7 else {"user": user}
            kind = random.choice(("subscribed", "subscribed", "unsubscribed"))
            entries.append(log.add(f"recommendations.{kind}", data=which, later_ms=later))
        elif roll < 0.54:
            entries.append(log.add("user.erased", user=user))
        elif roll < 0.56:
            entries.append(log.add("user.merged", user=user, session="s"))
        elif roll < 0.58:
            settings = {"push": push} if random.random() < 0.6 else {}
            entries.append(log.configure(scenarios=scenarios, **settings))
        elif roll < 0.62:
            entries.append(log.feedback(item, "same", f"i{random.randrange(25)}"))
        elif roll < 0.68:
            entries.append(log.tick(later))
        else:
            whose = {"user": user} if random.random() < 0.7 else {"session": "s"}
            entries.append(log.add("interaction.recorded", data={"item": item, **whose}, later_ms=later))
    return entries


def played(entries: Sequence[Entry], size: int) -> Recommender:
    engine = opened()
    for start in range(0, len(entries), size):
        engine.process(entries[start : start + size])
    return engine


@pytest.mark.parametrize("seed", range(2))
def test_batches_make_no_difference(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_lists, "MARKED_AT_ONCE", 3)
    entries = traffic(seed, 200)
    one = played(entries, 1)
    assert sum("recommendations.updated" in line for line in outbox_lines(one)) > 30
    for size in (7, 500):
        other = played(entries, size)
        assert outbox_lines(other) == outbox_lines(one)
        assert rows(other, *TABLES) == rows(one, *TABLES)


def test_a_failed_batch_leaves_nothing_and_a_reopened_state_goes_on(tmp_path: Any) -> None:
    entries = traffic(5, 120)
    whole = played(entries, 20)
    engine = opened(tmp_path)
    for start in range(0, len(entries), 20):
        part = entries[start : start + 20]
        engine._before_commit = lambda: (_ for _ in ()).throw(RuntimeError("no"))  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="no"):
            engine.process(part)
        engine._before_commit = lambda: None
        engine.process(part)
        if start % 60 == 0:
            engine.close()
            engine = opened(tmp_path)
    assert outbox_lines(engine) == outbox_lines(whole)
    assert rows(engine, *TABLES) == rows(whole, *TABLES)
    engine.close()


def test_without_subscriptions_nothing_is_written(shop: Shop) -> None:
    shop.do(shop.log.interact("red mug", "ann"), shop.log.delete("blue mug"))
    shop.news()
    assert rows(shop.engine, "subscriptions", "listed_items", "list_changes") == [[], [], []]
    assert not shop.engine._store.note("lists were made, milliseconds")


def test_a_deleted_collection_tells_nothing_more_and_its_rows_go(shop: Shop) -> None:
    shop.subscribe(item="red mug")
    shop.news()
    shop.do(shop.log.delete("blue mug"), shop.log.add("collection.deleted", collection="default"))
    assert shop.news() == []
    assert shop.engine.due_ms() is None
    while shop.engine.tidying.some(DAY_MS, shop.engine.last_event):
        pass
    assert rows(shop.engine, "subscriptions", "listed_items", "list_changes") == [[], [], []]


def rows(engine: Recommender, *tables: str) -> list[Any]:
    db = engine._store._db
    return [db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def dump(engine: Recommender) -> str:
    """Everything in the database, as text."""
    db = engine._store._db
    names = db.execute("SELECT name FROM sqlite_master WHERE type='table' AND sql NOT LIKE '%VIRTUAL%'").fetchall()
    return repr([db.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names])
