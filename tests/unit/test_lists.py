"""Lists of recommendations: from text where nothing is known of use, from use where it is, and never too short."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Entry
from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.recommend import lists
from recommender_engine.pipeline.recommend.listed import Listed
from recommender_engine.pipeline.recommend.sources import popular
from tests.support.engine import Log, opened

KINDS = {
    "mug": "porcelain mug holding coffee",
    "lamp": "electric lamp and shade",
    "chair": "wooden chair by artisans",
    "rug": "woven carpet rug underfoot",
    "vase": "crystal vase displaying flowers",
}
COLOURS = {"red": "crimson red", "blue": "navy blue ocean", "green": "forest green", "white": "snowy white pearl"}


class Shop:
    """An engine with products, and users who buy them."""

    def __init__(self) -> None:
        self.log, self.engine = Log(), opened()
        self.upsert(
            *(f"{colour} {kind}" for kind in KINDS for colour in COLOURS),
        )

    def upsert(self, *names: str) -> None:
        self.engine.process(
            [
                self.log.upsert(name, text_of(name), attributes={"kind": name.split()[-1], "stock": n % 3})
                for n, name in enumerate(names)
            ]
        )

    def visit(self, user: str, *items: str, kind: str = "buy") -> None:
        """A visit of a user, an hour and a bit after the last one."""
        later = [self.log.add("interaction.recorded", data=_used(user, items[0], kind), later_ms=4_000_000)]
        self.engine.process(later + [self._add(user, item, kind) for item in items[1:]])

    def _add(self, user: str, item: str, kind: str) -> Entry:
        return self.log.add("interaction.recorded", data=_used(user, item, kind))

    def listed(self, **request: Any) -> list[Listed]:
        found = self.engine.recommendations(request)
        assert found is not None
        return found

    def ids(self, **request: Any) -> list[str]:
        return [one.id for one in self.listed(**request)]


def text_of(name: str) -> str:
    """What an item says, such as ``red mug``."""
    colour, kind = name.split()
    return f"{COLOURS.get(colour, colour)} {KINDS.get(kind, kind)}"


def _used(user: str, item: str, kind: str) -> dict[str, str]:
    return {"user": user, "item": item, "kind": kind}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_without_interactions_the_list_of_an_item_is_that_of_its_text(shop: Shop) -> None:
    similar = shop.engine.recommend("red mug", limit=8)
    assert similar is not None
    assert shop.ids(item="red mug", limit=8, diversity=0.0) == [one.id for one in similar]


def test_what_is_used_together_is_recommended_and_the_list_says_why(shop: Shop) -> None:
    for n in range(8):
        shop.visit(f"u{n}", "red mug", "blue lamp")
    best = shop.listed(item="red mug")[0]
    assert best.id == "blue lamp"
    assert best.why.startswith("often used together with red mug")
    assert best.terms["together"] > 0.0


@pytest.mark.parametrize("first", [2, 100])
def test_a_list_is_never_shorter_than_what_there_is(shop: Shop, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_FIRST", first)  # with 2, sources are asked again and again
    everything = len(KINDS) * len(COLOURS)
    shop.visit("u", "red mug")
    for request in ({}, {"user": "nobody"}, {"session": "s"}, {"user": "u", "known": "keep"}):
        assert len(set(shop.ids(limit=100, **request))) == everything
    assert len(shop.ids(user="u", limit=100)) == everything - 1
    assert len(shop.ids(user="u", limit=100, exclude=["blue mug"])) == everything - 2


def test_for_nobody_the_popular_ones_come_first(shop: Shop) -> None:
    for n in range(5):
        shop.visit(f"u{n}", "white vase")
    shop.visit("v", "red rug")
    listed = shop.listed(limit=2, diversity=0.0)
    assert [one.id for one in listed] == ["white vase", "red rug"]
    assert "popular this week" in listed[0].why


def test_what_one_visitor_used_or_was_used_long_ago_is_not_popular(shop: Shop) -> None:
    shop.visit("u", "white vase")

    def vase() -> Listed:
        return next(one for one in shop.listed(limit=100) if one.id == "white vase")

    assert vase().terms["popular"] == pytest.approx(0.5, abs=0.01)
    assert "popular" not in vase().why
    for n in range(20):
        shop.visit(f"u{n}", "white vase")
    assert vase().terms["popular"] == 1.0
    assert vase().why.startswith("popular this week")
    shop.engine.process([shop.log.add("clock.ticked", later_ms=120 * 24 * 3600 * 1000)])
    assert vase().terms["popular"] < 0.001
    assert vase().why.startswith("new")


def test_users_with_the_same_taste_lead_to_what_is_new_to_a_user(shop: Shop) -> None:
    for n in range(6):
        shop.visit(f"u{n}", "red mug", "green chair")
        shop.visit(f"u{n}", "white rug")
    shop.visit("me", "red mug", "green chair")
    best = shop.listed(user="me", diversity=0.0)[0]
    assert best.id == "white rug"
    assert "same taste" in best.why


def test_known_items_are_left_out_or_come_first(shop: Shop) -> None:
    shop.visit("me", "red mug")
    shop.visit("me", "red mug")
    shop.visit("me", "blue mug")
    assert not {"red mug", "blue mug"} & set(shop.ids(user="me", limit=100))
    assert shop.ids(user="me", known="keep", diversity=0.0)[:2] == ["red mug", "blue mug"]


def test_what_was_dismissed_is_left_out_even_where_known_items_are_kept(shop: Shop) -> None:
    shop.visit("me", "red mug")
    shop.visit("me", "red mug", kind="dismiss")
    assert "red mug" not in shop.ids(user="me", known="keep", limit=100)


def test_what_was_only_dismissed_is_left_out_also_where_it_arrived_later(shop: Shop) -> None:
    shop.visit("me", "red mug", "iron teapot", kind="dismiss")
    shop.upsert("iron teapot")
    for known in ("keep", "leave_out"):
        assert not {"red mug", "iron teapot"} & set(shop.ids(user="me", known=known, limit=100))
    assert {"red mug", "iron teapot"} <= set(shop.ids(user="other", limit=100))


def test_an_anonymous_session_counts_at_once(shop: Shop) -> None:
    shop.engine.process([shop.log.add("interaction.recorded", item="red mug", session="s")])
    best = shop.listed(session="s")[0]
    assert best.id.endswith("mug")
    assert "like red mug" in best.why


def test_examples_say_what_the_list_is_like_and_unlike(shop: Shop) -> None:
    like = shop.ids(like=["red mug", "red lamp"], limit=3, diversity=0.0)
    assert all("red" in id_ or "mug" in id_ or "lamp" in id_ for id_ in like)
    without = shop.listed(like=["red mug"], unlike=["blue mug"], limit=100, diversity=0.0)
    plain = shop.listed(like=["red mug"], limit=100, diversity=0.0)
    assert [one.id for one in without] != [one.id for one in plain]
    assert shop.ids(like=["there is none"]) == shop.ids()
    for user in ("u", "v"):
        shop.visit(user, "red mug", "red lamp", "white vase")
    (vase,) = [one for one in shop.listed(like=["red mug", "red lamp"]) if one.id == "white vase"]
    assert vase.why.startswith("often used together with these items")


def test_a_text_is_enough(shop: Shop) -> None:
    assert shop.ids(text=text_of("green chair"), limit=1) == ["green chair"]


def test_a_filter_holds_and_leaves_none_out(shop: Shop) -> None:
    shop.visit("me", "red mug", "blue lamp")
    for request in ({"user": "me", "known": "keep"}, {}, {"item": "red lamp"}):
        found = shop.listed(filter={"kind": "lamp"}, limit=100, **request)
        assert {one.attributes["kind"] for one in found} == {"lamp"}
        assert len(found) == len(COLOURS) - ("item" in request)


def test_an_item_that_is_not_there_has_no_list(shop: Shop) -> None:
    assert shop.engine.recommendations({"item": "there is none"}) is None
    assert shop.engine.recommendations({"item": "red mug", "collection": "there is none"}) is None
    assert shop.engine.recommendations({"collection": "there is none"}) == []


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"item": "a", "text": "b"}, None),
        ({"unlike": ["a"]}, None),
        ({"diversity": 2}, "diversity"),
        ({"known": "some"}, "known"),
        ({"colour": "red"}, "colour"),
        ({"like": ["x"] * 21}, "like"),
    ],
)
def test_a_wrong_request_names_its_field(shop: Shop, request_: dict[str, Any], field: str | None) -> None:
    with pytest.raises(InvalidCommand) as raised:
        shop.engine.recommendations(request_)
    assert raised.value.field == field


def test_diversity_takes_sameness_out_of_a_list(shop: Shop) -> None:
    plain = shop.ids(text=text_of("red mug"), limit=5, diversity=0.0)
    diverse = shop.ids(text=text_of("red mug"), limit=5, diversity=0.7)
    assert plain[0] == diverse[0] == "red mug"
    assert len({id_.split()[1] for id_ in diverse}) > len({id_.split()[1] for id_ in plain})


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 12), diversity=st.sampled_from([0.0, 0.2, 1.0]))
def test_no_group_twice_and_none_of_the_asked_item(seed: int, limit: int, diversity: float) -> None:
    random, shop = Random(seed), Shop()
    names = [f"{random.choice(list(COLOURS))} {random.choice(list(KINDS))}" for _ in range(10)]
    shop.engine.process(  # copies: they join the groups of what they repeat
        [shop.log.upsert(f"copy {n} of {name}", text_of(name)) for n, name in enumerate(names)]
    )
    for n in range(6):
        shop.visit(f"u{n % 3}", *random.sample(names, random.randint(1, 4)))
    for request in ({"item": names[0]}, {"user": "u1"}, {"user": "u2", "known": "keep"}, {}):
        found = shop.listed(limit=limit, diversity=diversity, **request)
        groups = [one.group for one in found]
        assert len(set(groups)) == len(groups)
        assert len(found) == min(limit, len(found)) == len({one.id for one in found})
        if "item" in request:
            item = shop.engine.get(names[0])
            assert item is not None
            assert item.group not in groups
        assert len(found) == limit or "item" in request or request.get("user") == "u1" or limit > 10


def test_an_item_that_has_just_arrived_is_listed_and_one_that_is_gone_is_not(shop: Shop) -> None:
    shop.visit("me", "red mug")
    shop.upsert("iron teapot")
    assert "iron teapot" in shop.ids(user="me", limit=100)
    shop.engine.process([shop.log.delete("iron teapot"), shop.log.delete("blue mug")])
    assert not {"iron teapot", "blue mug"} & {*shop.ids(user="me", limit=100), *shop.ids(item="red mug", limit=100)}


def test_boosts_and_freshness_change_the_order_and_the_filter_of_a_boost_is_checked(shop: Shop) -> None:
    plain = shop.ids(text=text_of("red mug"), limit=6, diversity=0.0)
    lamps = [{"filter": {"kind": "lamp"}, "weight": 10.0}]
    boosted = shop.ids(text=text_of("red mug"), limit=6, diversity=0.0, boosts=lamps)
    assert plain[0] == "red mug"
    assert boosted[0] == "red lamp"
    less = [{"filter": {"kind": "mug"}, "weight": -0.9}]
    assert shop.ids(text=text_of("red mug"), limit=1, diversity=0.0, boosts=less) != ["red mug"]
    with pytest.raises(InvalidCommand, match="flavour"):
        shop.ids(boosts=[{"filter": {"flavour": "sweet"}, "weight": 1.0}])
    shop.engine.process([shop.log.add("clock.ticked", later_ms=400 * 24 * 3600 * 1000)])
    shop.upsert("iron mug")
    fresh = {"weight": 10.0, "half_life_days": 30.0}
    assert shop.ids(text=text_of("red mug"), limit=1, diversity=0.0, freshness=fresh) == ["iron mug"]


def test_pins_come_first_where_they_may_be_listed(shop: Shop) -> None:
    shop.visit("me", "blue mug")
    pins = ["white vase", "blue mug", "there is none", "green rug"]
    listed = shop.listed(user="me", pins=pins, limit=5)
    assert [one.id for one in listed[:2]] == ["white vase", "green rug"]
    assert listed[0].why == "pinned"
    assert len(listed) == len({one.group for one in listed}) == 5
    assert shop.ids(pins=pins, filter={"kind": "rug"}, limit=1) == ["green rug"]
    assert shop.ids(pins=pins, limit=1) == ["white vase"]


def test_at_most_so_many_of_one_value(shop: Shop) -> None:
    listed = shop.listed(limit=100, at_most={"kind": 2}, pins=["red mug"])
    kinds = [str(one.attributes["kind"]) for one in listed]
    assert {kind: kinds.count(kind) for kind in KINDS} == dict.fromkeys(KINDS, 2)
    shop.engine.process(
        [shop.log.patch(f"{colour} mug", {"tags": ["kitchen", colour]}) for colour in COLOURS]
        + [shop.log.patch("red lamp", {"tags": ["red"]})]
    )
    tagged = [one for one in shop.listed(limit=100, at_most={"tags": 1}) if one.attributes.get("tags")]
    tags = [tag for one in tagged for tag in one.attributes["tags"]]  # type: ignore[union-attr]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize("filter_", [None, {"kind": {"$exists": True}}])
def test_at_most_counts_the_items_that_are_shown(shop: Shop, filter_: dict[str, Any] | None) -> None:
    names = ("red mug", "blue lamp", "green chair", "white rug")
    shop.engine.process(  # duplicates of another make, which are what is used
        [shop.log.patch(name, {"make": "Norvik"}) for name in names]
        + [shop.log.upsert(f"copy of {name}", text_of(name), attributes={"make": name, "kind": "k"}) for name in names]
    )
    for name in names:
        shop.visit("u", f"copy of {name}")
    listed = shop.listed(at_most={"make": 1}, limit=100, filter=filter_)
    assert [one.attributes.get("make") for one in listed].count("Norvik") == 1


def test_a_scenario_holds_options_and_the_request_comes_before_it(shop: Shop) -> None:
    page = {"limit": 3, "filter": {"kind": "lamp"}, "diversity": 0.0}
    (configured,) = shop.engine.process([shop.log.configure(scenarios={"product page": page})])
    assert configured.data.type == "recommender.collection.configured.v1"
    listed = shop.listed(scenario="product page", item="red lamp")
    assert len(listed) == 3
    assert {one.attributes["kind"] for one in listed} == {"lamp"}
    assert len(shop.ids(scenario="product page", item="red lamp", limit=1)) == 1
    with pytest.raises(InvalidCommand) as raised:
        shop.ids(scenario="home page")
    assert (raised.value.code, raised.value.field) == ("unknown_scenario", "scenario")


def test_a_scenario_with_a_wrong_filter_is_rejected_with_its_name(shop: Shop) -> None:
    (rejected,) = shop.engine.process([shop.log.configure(scenarios={"page": {"filter": {"price": {"$less": 3}}}})])
    assert rejected.data.type == "recommender.command.rejected.v1"
    assert "settings.scenarios.page" in rejected.data.message  # type: ignore[attr-defined]


def test_what_is_popular_among_few_that_pass_is_what_is_popular_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, chance = Shop(), Random(3)
    names = [f"{colour} {kind}" for kind in KINDS for colour in COLOURS]
    for n in range(40):
        shop.visit(f"u{n}", *chance.sample(names[3:], 3))
    asked = [{"filter": filter_} for filter_ in ({"kind": "mug"}, {"stock": {"$gt": 0}}, {"kind": {"$ne": "rug"}})]
    few = [shop.listed(limit=20, diversity=0.0, **one) for one in asked]
    assert all("popular" in listed[0].terms and "trending" in listed[0].terms for listed in few)
    monkeypatch.setattr(popular, "_MOST_PASS", -1)
    assert [shop.listed(limit=20, diversity=0.0, **one) for one in asked] == few
