"""Lists that were shown: hits, hit rates, judged days, experiments, fatigue, damping, and what erasures take along."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.owner.telemetry.metrics import Metrics
from recommender_engine import Entry, Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionConfigured,
    CommandRejected,
    HitRate,
    ItemProcessed,
    ListShown,
    RecommendationsJudged,
    RecommendationsUpdated,
)
from recommender_engine.recommend.exposure import arm_of, fatigue, impressions, score_interval
from recommender_engine.store import shown as shown_table
from recommender_engine.store.tables import SCHEMA_VERSION
from tests.support.engine import Log, opened, outbox_lines
from tests.support.older_states import make_schema_10

DAY_MS = 24 * 3600 * 1000
ITEMS = {
    "a": "porcelain mug holding coffee",
    "b": "electric lamp and shade",
    "c": "wooden chair by artisans",
    "d": "woven carpet rug underfoot",
    "e": "crystal vase displaying flowers",
    "f": "cast iron kettle",
}


class Page:
    """An engine with items, and a page that shows them."""

    def __init__(self, **settings: Any) -> None:
        self.log, self.engine = Log(), opened()
        self.process(self.log.configure(**settings), *(self.log.upsert(id_, text) for id_, text in ITEMS.items()))

    def process(self, *entries: Entry) -> list[Any]:
        return [event.data for event in self.engine.process(list(entries))]

    def shown(self, id_: str, *items: str, later_ms: int = 1, key: str | None = None, **fields: Any) -> Entry:
        data = {"recommendation_id": id_, "items": list(items), **fields}
        return self.log.add("recommendation.shown", data=data, later_ms=later_ms, key=key)

    def used(self, item: str, user: str, later_ms: int = 1, **fields: Any) -> Entry:
        return self.log.interact(item, user, later_ms, **fields)

    def rates(self, **asked: Any) -> list[HitRate]:
        found = self.engine.hits(**asked)
        assert found is not None
        return found

    def rate(self) -> HitRate:
        (rate,) = self.rates()
        return rate

    def listed(self, **request: Any) -> list[str]:
        found = self.engine.recommendations({"diversity": 0.0, **request})
        assert found is not None
        return [one.id for one in found]

    def total(self, item: str, column: str = "total") -> float:
        return float(getattr(self.engine._store.behaviour.named(1, [item])[item], column))


@pytest.fixture
def page() -> Page:
    return Page()


# -- what is a hit -----------------------------------------------------------------------------------------------------


def test_a_use_within_a_day_is_a_hit_of_the_latest_list_of_the_user(page: Page) -> None:
    page.process(
        page.shown("r1", "a", "b", "c", user="u"),
        page.shown("r2", "c", "b", user="u"),
        page.shown("r3", "b", user="somebody else"),
        page.used("b", "u"),
    )
    rate = page.rate()
    assert (rate.lists, rate.hits, rate.items, rate.items_used) == (3, 1, 6, 1)
    assert rate.mean_reciprocal_rank == pytest.approx(1 / 2 / 3, abs=1e-6), "second of the list that came last"


def test_the_list_that_an_interaction_names_has_the_hit_whoever_saw_it(page: Page) -> None:
    page.process(
        page.shown("r1", "a", "b", "c", user="u"),
        page.shown("r2", "a", user="u"),
        page.shown("r3", "d"),
        page.used("a", "u", recommendation_id="r1"),
        page.used("c", "v", recommendation_id="r1"),
        page.used("d", "w", recommendation_id="r3"),
        page.used("d", "w"),
    )
    rate = page.rate()
    assert (rate.lists, rate.hits, rate.items_used) == (3, 2, 3)
    assert page.engine._store._db.execute("SELECT id, used FROM shown_lists ORDER BY id").fetchall() == [
        ("r1", b"\x00\x02"),
        ("r2", b""),
        ("r3", b"\x00"),
    ]


@pytest.mark.parametrize("fields", [{"recommendation_id": "unknown"}, {"recommendation_id": "r2"}])
def test_where_the_list_that_is_named_did_not_show_it_the_latest_counts(page: Page, fields: dict[str, str]) -> None:
    page.process(page.shown("r1", "a", user="u"), page.shown("r2", "b", user="u"), page.used("a", "u", **fields))
    assert page.rate().hits == 1


@pytest.mark.parametrize(
    ("later_ms", "fields"),
    [
        (DAY_MS + 1, {}),
        (DAY_MS + 1, {"recommendation_id": "r1"}),
        (1, {"kind": "dismiss"}),
        (1, {"time": "2023-11-14T00:00:00Z"}),  # before the list
    ],
)
def test_what_is_no_hit(page: Page, later_ms: int, fields: dict[str, str]) -> None:
    page.process(page.shown("r1", "a", user="u"), page.used("a", "u", later_ms, **fields), page.used("b", "u"))
    assert (page.rate().hits, page.rate().items_used) == (0, 0)


def test_a_use_at_the_end_of_the_day_is_a_hit_and_one_that_is_repeated_counts_once(page: Page) -> None:
    page.process(page.shown("r1", "a", "b", user="u"), page.used("b", "u", DAY_MS), page.used("b", "u", 0, kind="buy"))
    assert (page.rate().hits, page.rate().items_used, page.rate().mean_reciprocal_rank) == (1, 1, 0.5)


def test_the_best_rank_counts(page: Page) -> None:
    page.process(
        page.shown("r1", "a", "b", "c", user="u"), page.used("c", "u"), page.used("a", "u"), page.used("b", "u")
    )
    rate = page.rate()
    assert (rate.hits, rate.items_used, rate.mean_reciprocal_rank) == (1, 3, 1.0)


def test_a_list_counts_once_and_its_outcome_says_so(page: Page) -> None:
    first, again = page.process(
        page.shown("r1", "a", user="u", key="one"), page.shown("r1", "b", "c", user="v", key="two")
    )
    assert isinstance(first, ListShown)
    assert isinstance(again, ListShown)
    assert (first.repeated, again.repeated) == (False, True)
    assert page.rate().items == 1
    assert page.process(page.shown("r2", "a", user="u")) == [], "without key and caller there is no outcome"


def test_a_list_that_was_shown_long_ago_does_not_count_and_one_of_yesterday_does(page: Page) -> None:
    late, fresh = page.process(
        page.shown("r1", "a", user="u", time="2023-09-01T00:00:00Z", key="one"),
        page.shown("r2", "a", user="u", time="2023-11-14T12:00:00+01:00", key="two"),
    )
    assert (late.repeated, fresh.repeated) == (True, False)
    page.process(page.used("a", "u"))
    assert (page.rate().lists, page.rate().hits) == (1, 1)


def test_an_item_that_is_not_there_keeps_its_place_and_makes_no_row(page: Page) -> None:
    page.process(page.shown("r1", "nowhere", "b", user="u"), page.used("nowhere", "u"), page.used("b", "u"))
    assert (page.rate().items, page.rate().items_used, page.rate().mean_reciprocal_rank) == (2, 1, 0.5)


def test_a_deleted_item_is_in_no_list_and_one_that_comes_back_is_another(page: Page) -> None:
    page.process(page.shown("r1", "a", "b", user="u"), page.log.delete("a"))
    page.process(page.log.upsert("a", ITEMS["a"]), page.used("a", "u"))
    assert page.rate().hits == 0
    assert "a" in page.listed(user="v", limit=10)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_each_scenario_and_of_so_many_days(page: Page) -> None:
    page.process(page.log.configure(scenarios={"home": {}, "product": {"limit": 3}}))
    page.process(
        page.shown("r1", "a", user="u", scenario="home"),
        page.used("a", "u"),
        page.shown("r2", "a", user="u", scenario="product", later_ms=2 * DAY_MS),
        page.shown("r3", "a", user="u"),
    )
    assert [(one.scenario, one.lists, one.hits) for one in page.rates()] == [
        (None, 1, 0),
        ("home", 1, 1),
        ("product", 1, 0),
    ]
    assert [one.scenario for one in page.rates(days=2)] == [None, "product"]
    assert page.engine.recent_hits() == (2, 0)
    assert page.engine.hits("no such collection") is None


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"scenario": "none"}, "unknown_scenario", "scenario"),
        ({"scenario": "home", "arm": "none"}, "unknown_arm", "arm"),
        ({"arm": "one"}, "missing_field", "scenario"),
        ({"items": ["a", "a"]}, "invalid_value", "items"),
        ({"items": []}, "invalid_value", "items"),
        ({"items": ["a"] * 101}, "invalid_value", "items"),
        ({"time": "yesterday"}, "invalid_value", "time"),
    ],
)
def test_what_is_wrong_is_named(page: Page, fields: dict[str, Any], code: str, field: str) -> None:
    page.process(page.log.configure(scenarios={"home": {}}))
    data = {"recommendation_id": "r", "items": ["a"], "user": "u", **fields}
    (event,) = page.process(page.log.add("recommendation.shown", data=data))
    assert isinstance(event, CommandRejected)
    assert (event.code, event.field) == (code, field)
    assert page.rates() == []


def test_a_day_is_judged_once_when_its_lists_can_have_no_more_hits(page: Page) -> None:
    page.process(page.log.configure(scenarios={"home": {}}))
    page.process(page.shown("r1", "a", "b", user="u", scenario="home"), page.shown("r2", "b", user="v"))
    due_ms = page.engine.due_ms()
    assert due_ms is not None
    assert due_ms % DAY_MS == 0
    wait_ms = due_ms - page.engine._store.clock_ms
    assert page.process(page.used("b", "u", wait_ms - 1)) == []
    events = page.process(page.log.tick(), page.log.tick(3 * DAY_MS))
    assert all(isinstance(event, RecommendationsJudged) for event in events)
    assert [(one.scenario, one.lists, one.hits, one.items) for one in events] == [(None, 1, 0, 1), ("home", 1, 0, 2)]
    assert [one.until_ms + DAY_MS for one in events] == [due_ms] * 2
    assert page.engine.due_ms() is None
    assert page.engine.recent_hits() == (0, 0)
    assert len(page.rates()) == 2, "the figures stay"


def test_the_metrics_say_how_many_lists_were_used(page: Page) -> None:
    metrics = Metrics("default")
    page.process(page.shown("r1", "a", user="u"), page.shown("r2", "b", user="u"), page.used("a", "u"))
    metrics.hits(*page.engine.recent_hits())
    values = [
        metrics.registry.get_sample_value(name, {"partition": "default"})
        for name in ("recommender_shown_lists", "recommender_hit_lists")
    ]
    assert values == [2, 1]


def test_figures_of_a_deleted_collection_are_not_judged(page: Page) -> None:
    page.process(page.shown("r1", "a", user="u"), page.log.add("collection.deleted", {"collection": "default"}))
    assert page.engine.due_ms() is None
    assert page.process(page.log.tick(4 * DAY_MS)) == []
    page.engine.prune(0, page.engine.last_event)
    while page.engine.tidying.some(0, page.engine.last_event):
        pass
    assert _counts(page.engine) == (0, 0)


def test_lists_and_figures_are_kept_within_bounds(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_table, "MOST_OF_USER", 3)
    page.process(*(page.shown(f"r{n}", "a", user="u") for n in range(9)))
    page.process(*(page.shown(f"s{n}", "a", session="s") for n in range(2)), page.used("b", "u"))
    page.process(page.log.add("user.merged", user="u", session="s"))
    db = page.engine._store._db
    assert db.execute("SELECT id, user FROM shown_lists ORDER BY num").fetchall() == [
        ("r8", "u"),
        ("s0", "u"),
        ("s1", "u"),
    ]
    monkeypatch.setattr(shown_table, "MOST_LISTS", 2)
    page.process(page.shown("t", "a"))
    assert db.execute("SELECT id FROM shown_lists ORDER BY num").fetchall() == [("s1",), ("t",)]
    page.process(page.log.tick(29 * DAY_MS))
    page.engine.prune(10**12, page.engine.last_event)
    assert _counts(page.engine)[0] == 0
    page.process(page.shown("new", "a", user="u"), page.log.tick(93 * DAY_MS), page.shown("newer", "a", user="u"))
    page.process(page.log.tick(3 * DAY_MS))
    assert _counts(page.engine)[1] == 1


def test_whether_old_lists_are_deleted_already_makes_no_difference(page: Page) -> None:
    other = Page()
    for one in (page, other):
        one.process(one.shown("r1", "a", user="u"), one.log.tick(29 * DAY_MS))
        if one is other:
            one.engine.prune(10**12, one.engine.last_event)
        one.process(one.used("a", "u", recommendation_id="r1", time="2023-11-15T00:00:00Z"))
        one.process(one.shown("r1", "b", user="u"), one.used("b", "u"))
    assert page.rates() == other.rates()
    assert outbox_lines(page.engine) == outbox_lines(other.engine)
    assert _table(page.engine, "used_items") == _table(other.engine, "used_items")


def test_a_failed_batch_counts_nothing(page: Page) -> None:
    entries = [page.shown("r1", "a", user="u"), page.used("a", "u")]
    page.engine._before_commit = lambda: (_ for _ in ()).throw(RuntimeError("no"))  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="no"):
        page.engine.process(entries)
    page.engine._before_commit = lambda: None
    assert page.engine.due_ms() is None
    assert not page.engine._store.shown.any_in(1)
    page.engine.process(entries)
    assert page.rate().hits == 1


# -- experiments -------------------------------------------------------------------------------------------------------


ARMS = {"one": {"share": 0.3, "limit": 1}, "two": {"share": 0.5, "pins": ["f"]}}


def test_a_user_is_always_in_the_same_arm_and_its_options_come_before_those_of_the_scenario() -> None:
    page = Page(scenarios={"home": {"limit": 4, "arms": ARMS}})
    found: dict[str | None, int] = {}
    for n in range(600):
        listed = page.engine.recommendations({"user": f"u{n}", "scenario": "home", "recommendation_id": "r"})
        assert listed
        (arm,) = {one.arm for one in listed}
        assert {one.recommendation_id for one in listed} == {"r"}
        assert arm == arm_of("default", "home", f"u{n}", {"one": 0.3, "two": 0.5})
        assert len(listed) == (1 if arm == "one" else 4)
        assert (listed[0].id == "f") >= (arm == "two")
        found[arm] = found.get(arm, 0) + 1
    shares = {arm: round(count / 600, 1) for arm, count in found.items()}
    assert shares == {"one": 0.3, "two": 0.5, None: 0.2}
    asked = [page.listed(user=f"u{n}", scenario="home", limit=2) for n in range(20)]
    assert {len(one) for one in asked} == {2}, "what the request names comes first"
    nobody = page.engine.recommendations({"scenario": "home"})
    assert nobody is not None
    assert {one.arm for one in nobody} == {None}


def test_another_scenario_divides_the_users_anew() -> None:
    half = {"a": 0.5}
    both = [(arm_of("shop", "home", f"u{n}", half), arm_of("shop", "cart", f"u{n}", half)) for n in range(1000)]
    assert 200 < both.count(("a", "a")) < 300


def test_an_arm_is_the_same_in_every_release() -> None:
    assert [arm_of("shop", "home", f"u{n}", {"a": 0.5, "b": 0.5}) for n in range(6)] == ["b", "b", "a", "a", "a", "a"]


def test_a_shown_list_is_counted_under_its_arm() -> None:
    page = Page(scenarios={"home": {"arms": ARMS}})
    users = {arm_of("default", "home", f"u{n}", {"one": 0.3, "two": 0.5}): f"u{n}" for n in range(99)}
    page.process(
        *(page.shown(f"r {user}", "a", user=user, scenario="home") for user in users.values()),
        page.shown("named", "a", user=users[None], scenario="home", arm="one"),
        page.shown("nobody", "a", scenario="home"),
        page.used("a", users["two"]),
    )
    assert {one.arm: (one.lists, one.hits) for one in page.rates()} == {None: (2, 0), "one": (2, 0), "two": (1, 1)}


@pytest.mark.parametrize(
    "arms",
    [{"a": {"share": 0.6}, "b": {"share": 0.5}}, {"a": {}}, {"a": {"share": 0.0}}, {"a": {"share": 1, "arms": {}}}],
)
def test_arms_are_checked_when_they_are_set(arms: dict[str, Any]) -> None:
    log, engine = Log(), opened()
    (event,) = engine.process([log.configure(scenarios={"home": {"arms": arms}})])
    assert isinstance(event.data, CommandRejected)
    assert (event.data.field or "").startswith("settings.scenarios.home.arms")


def test_a_scenario_with_arms_is_kept(tmp_path: Path) -> None:
    log, engine = Log(), opened(tmp_path)
    (event,) = engine.process([log.configure(scenarios={"home": {"limit": 4, "arms": ARMS}})])
    assert isinstance(event.data, CollectionConfigured)
    engine.close()
    with closing(opened(tmp_path)) as again:
        assert again.settings()["default"] == event.data.settings


# -- what was passed over, and what lists bring about ------------------------------------------------------------------


def test_what_is_shown_again_and_again_and_not_used_steps_back(page: Page) -> None:
    first = page.listed(user="u", limit=2)
    page.process(*(page.shown(f"r{n}", *first, user="u") for n in range(6)))
    after = page.listed(user="u", limit=6)
    assert not set(after[:2]) & set(first)
    assert page.listed(user="v", limit=2) == first, "another user sees them as before"
    assert len(after) == 6
    page.process(page.log.tick(8 * 7 * DAY_MS))
    assert page.listed(user="u", limit=2) == first


def test_an_item_that_was_used_since_is_not_held_against_the_user(page: Page) -> None:
    page.process(*(page.used(item, f"v{n}") for n in range(3) for item in ("a", "b")), page.used("c", "w"))
    page.process(*(page.shown(f"r{n}", "a", "b", session="s") for n in range(9)))
    assert page.listed(session="s", limit=1) == ["c"]
    for session in ("s", "t"):  # t was shown nothing
        data = {"item": "b", "session": session}
        page.process(page.log.add("interaction.recorded", data=data, later_ms=2000))
    scores = {}
    for session in ("s", "t"):
        listed = page.engine.recommendations({"session": session, "limit": 6, "known": "keep"})
        assert listed is not None
        scores[session] = {one.id: one.score for one in listed}
    assert scores["s"]["b"] == scores["t"]["b"]
    assert scores["s"]["a"] == pytest.approx(scores["t"]["a"] / (1 + 0.25 * 9), rel=1e-3)


def test_all_of_a_group_is_held_against_the_one_that_stands_for_it(page: Page) -> None:
    page.process(page.log.upsert("a again", ITEMS["a"]))
    assert page.listed(user="u", limit=9).count("a again") == 0
    page.process(*(page.used("a", f"v{n}") for n in range(3)), page.used("c", "v"))
    assert page.listed(user="u", limit=1) == ["a"]
    page.process(*(page.shown(f"r{n}", "a again", user="u") for n in range(40)))
    assert page.listed(user="u", limit=1) == ["c"]


def test_pins_stay_and_the_setting_switches_fatigue_off() -> None:
    page = Page(impression_fatigue=0.0)
    first = page.listed(user="u", limit=2)
    page.process(*(page.shown(f"r{n}", *first, user="u") for n in range(6)))
    assert page.listed(user="u", limit=2) == first
    page.process(page.log.configure())
    assert page.listed(user="u", limit=2) != first
    assert page.listed(user="u", limit=2, pins=first) == first


def test_what_followed_a_list_counts_less_for_all_and_in_full_for_the_user() -> None:
    found, shown = Page(shown_weight=0.25), Page(shown_weight=0.25)
    for one in (found, shown):
        one.process(one.shown("r1", "a" if one is shown else "f", user="u"))
        one.process(one.used("a", "u"), one.used("b", "u"))
    assert shown.total("a") == pytest.approx(found.total("a") - 2.0)  # a logarithm to base 2
    assert shown.total("a", "popular") == pytest.approx(found.total("a", "popular") - 2.0)
    assert shown.total("b") == found.total("b")
    profiles = [one.engine._store.behaviour.peek(1) for one in (found, shown)]
    weights = [[entry.weight for entry in one.items.values()] for one in profiles if one is not None]
    assert len(weights[0]) == 2
    assert weights[0] == weights[1]


def test_nothing_is_learned_for_all_of_what_followed_a_list_with_weight_0() -> None:
    page = Page(shown_weight=0.0)
    page.process(page.shown("r1", "a", user="u"), page.used("a", "u"), page.used("b", "u"))
    assert set(page.engine._store.behaviour.named(1, ["a", "b"])) == {"b"}
    assert page.listed(user="u", limit=1, known="keep") != []
    assert "a" not in page.listed(user="u", limit=10), "the user knows it"


def test_fatigue_and_intervals_by_hand() -> None:
    week = 7 * DAY_MS
    counts = impressions([(0, (1, 2, 0)), (week, (1, 3))], {2: 5, 3: week - 1}, week)
    assert counts == {1: 1.5, 3: 1.0}
    assert fatigue(4.0, 0.25) == 0.5
    low, high = score_interval(10, 100)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert score_interval(0, 0) == (0.0, 1.0)


# -- users, upgrades, events -------------------------------------------------------------------------------------------


def test_a_session_takes_its_lists_along_when_it_becomes_a_user(page: Page) -> None:
    page.process(page.shown("r1", "a", session="s"), page.log.add("user.merged", user="u", session="s"))
    page.process(page.used("a", "u"))
    assert page.rate().hits == 1


@pytest.mark.parametrize("whose", [{"user": "Ms Unusual"}, {"session": "Ms Unusual"}])
def test_an_erased_user_is_in_no_list_outcome_or_key(page: Page, whose: dict[str, str]) -> None:
    id_ = "a page of Ms Unusual"
    page.process(page.shown(id_, "a", key="seen by Ms Unusual", **whose), page.shown("other", "a", user="u", key="k"))
    assert "Unusual" in _dump(page.engine)
    page.process(page.log.add("user.erased", data=whose))
    assert "Unusual" not in _dump(page.engine)
    assert page.engine._store._db.execute("SELECT id FROM shown_lists").fetchall() == [("other",)]
    assert page.rate().lists == 2, "the counts stay"


def test_an_erased_user_is_in_no_outcome_of_a_list_that_was_one_too_many(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_table, "MOST_OF_USER", 3)
    whose = {"session": "Ms Unusual"}
    page.process(*(page.shown(f"r{n}", "a", key=f"{n} of Ms Unusual", **whose) for n in (*range(9), 8)))
    page.process(*(page.shown(f"s{n}", "a", key=f"{n} of u", user="u") for n in range(2)))
    page.process(page.log.add("user.merged", user="u", session="Ms Unusual"), page.log.add("user.erased", user="u"))
    assert "Unusual" not in _dump(page.engine)
    assert _table(page.engine, "mentions") == []


def test_what_was_rejected_of_a_session_goes_with_the_user_that_it_became(page: Page) -> None:
    page.process(page.log.add("interaction.recorded", {"item": "a", "session": "s", "kind": "sniff", "value": 7.5}))
    page.process(page.log.add("user.merged", user="u", session="s"))
    assert "sniff" in _dump(page.engine)
    page.process(page.log.add("user.erased", user="u"))
    assert "sniff" not in _dump(page.engine)


def test_a_rejected_list_makes_no_collection(page: Page) -> None:
    data = {"recommendation_id": "r", "items": ["a"], "scenario": "home", "collection": "new"}
    page.process(page.log.add("recommendation.shown", data))
    assert list(page.engine.settings()) == ["default"]


def test_what_a_session_was_shown_goes_with_the_user_that_it_became(page: Page) -> None:
    page.process(page.shown("of the session", "a", session="s", key="shown to s"), page.used("a", "u"))
    page.process(page.log.add("user.merged", user="u", session="s"), page.log.add("user.erased", user="u"))
    assert _counts(page.engine)[0] == 0
    assert page.engine.outcome("shown to s") is None


def test_a_state_of_schema_10_with_interactions_goes_on(tmp_path: Path) -> None:
    log, engine = Log(), opened(tmp_path)
    engine.process([log.upsert("a", "blue mug"), log.upsert("b", "red mug"), log.interact("a", "u")])
    engine.close()
    make_schema_10(tmp_path)
    with closing(opened(tmp_path)) as again:
        again.process([log.add("recommendation.shown", {"recommendation_id": "r", "items": ["b"], "user": "u"})])
        again.process([log.interact("b", "u")])
        (rate,) = again.hits() or []
        assert (rate.lists, rate.hits) == (1, 1)
        assert again._store._db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_an_event_with_a_list_names_it_by_its_own_id(page: Page) -> None:
    event, *_ = page.engine.process([page.log.upsert("g", f"{ITEMS['a']} and tea")])
    (alone,) = page.engine.process([page.log.upsert("h", "zebra quantum violin")])
    assert isinstance(event.data, ItemProcessed)
    assert isinstance(alone.data, ItemProcessed)
    assert event.data.recommendations
    assert event.data.recommendation_id == str(event.id)
    assert not alone.data.recommendations
    assert alone.data.recommendation_id is None


def test_a_list_that_is_told_when_it_changes_has_an_id_and_its_arm() -> None:
    page = Page(scenarios={"home": {"arms": {"all": {"share": 1.0}}}})
    subscribed = page.log.add("recommendations.subscribed", {"user": "u", "scenario": "home"})
    events = page.engine.process([subscribed, page.used("a", "v"), page.log.tick(3_600_000), page.log.tick(3_600_000)])
    told = [event for event in events if isinstance(event.data, RecommendationsUpdated)]
    assert told
    for event in told:
        assert isinstance(event.data, RecommendationsUpdated)
        assert (event.data.recommendation_id, event.data.arm) == (str(event.id), "all")
        page.process(page.shown(str(event.id), event.data.recommendations[0].id, user="u", scenario="home"))
    page.process(page.used(told[-1].data.recommendations[0].id, "u"))
    assert [(one.arm, one.lists, one.hits) for one in page.rates()] == [("all", len(told), 1)]


def test_a_request_has_one_id(page: Page) -> None:
    with pytest.raises(InvalidCommand, match="recommendation_id"):
        page.listed(user="u", recommendation_id="")


def _counts(engine: Recommender) -> tuple[int, int]:
    counts = [
        engine._store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("shown_lists", "hit_rates")
    ]
    return counts[0], counts[1]


def _table(engine: Recommender, table: str) -> list[Any]:
    return engine._store._db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def _dump(engine: Recommender) -> str:
    tables = [
        name
        for (name,) in engine._store._db.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND sql NOT LIKE '%VIRTUAL%'"
        )
    ]
    return json.dumps([repr(engine._store._db.execute(f"SELECT * FROM {table}").fetchall()) for table in tables])
