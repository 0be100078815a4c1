"""Rules of a shop: what is shown of a group counts, and what cannot be listed any more is not read."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine.items import Item
from recommender_engine.matching import family_of
from recommender_engine.pipeline.recommend import lists, rules
from recommender_engine.pipeline.recommend.canonical import CanonicalItems
from recommender_engine.pipeline.recommend.listed import Listed
from tests.support.engine import Log, opened
from tests.unit.test_lists import COLOURS, KINDS, Shop, text_of

_DAY_MS = 24 * 3600 * 1000


def test_a_boost_and_freshness_are_those_of_the_item_that_is_shown() -> None:
    shop = Shop()
    shop.engine.process([shop.log.add("clock.ticked", later_ms=100 * _DAY_MS)])
    shop.engine.process([shop.log.upsert("copy", text_of("red mug"), attributes={"make": "Norvik"})])
    shop.visit("u", "copy")  # what is used is the copy; what is shown is the first of the group
    boosts = [{"filter": {"make": "Norvik"}, "weight": 10.0}]
    fresh = {"weight": 10.0, "half_life_days": 1.0}

    def mug(**request: Any) -> Listed:
        return next(one for one in shop.listed(limit=100, diversity=0.0, **request) if one.id == "red mug")

    assert mug().terms["popular"] > 0.0
    assert mug(boosts=boosts).score == mug().score
    assert mug(freshness=fresh).score == pytest.approx(mug().score, rel=1e-3)
    assert mug(boosts=boosts, filter={"make": {"$exists": False}}).score <= mug().score
    shown = next(one for one in shop.listed(limit=5, filter={"make": "Norvik"}, boosts=boosts) if one.id == "copy")
    plain = next(one for one in shop.listed(limit=5, filter={"make": "Norvik"}) if one.id == "copy")
    assert shown.score == pytest.approx(11 * plain.score, rel=1e-3)  # under this filter it is what is shown


def test_items_of_values_that_are_used_up_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log, engine = Log(), opened()
    engine.process(
        [log.upsert(f"i{n}", f"thing number {n} {n * n}", attributes={"make": "Norvik"}) for n in range(300)]
        + [log.upsert("old", "quite another text"), log.upsert("odd", "some further words", attributes={"make": "F"})]
    )
    # The two that may be listed are behind the others.
    engine.process([log.upsert(f"j{n}", f"more of it {n} {n * n}", attributes={"make": "Norvik"}) for n in range(120)])
    read = []
    items = CanonicalItems.items
    monkeypatch.setattr(
        CanonicalItems, "items", lambda self, asked, pool, groups: items(self, asked, pool, read_(groups))
    )

    def read_(groups: Any) -> list[str]:
        read.extend(groups)
        return list(groups)

    found = engine.recommendations({"limit": 5, "at_most": {"make": 2}})
    assert found is not None
    assert sorted(one.id for one in found if not one.attributes) == ["old"]
    assert sorted(str(one.attributes["make"]) for one in found if one.attributes) == ["F", "Norvik", "Norvik"]
    assert len(read) < 300


SIZES = ("small", "large")


class Catalogue(Shop):
    """Things in colours and sizes, some with copies, of three makes; users who use them."""

    def __init__(self, random: Random) -> None:
        self.log, self.engine = Log(), opened()
        self.texts: dict[str, str] = {}
        names = [(colour, kind, size) for colour in COLOURS for kind in KINDS for size in SIZES]
        entries = []
        for colour, kind, size in random.sample(names, 18):
            entries.append(self._item(f"{colour} {kind} {size}", f"{size} {colour} {KINDS[kind]}", random))
        for number, original in enumerate(random.sample(sorted(self.texts), 5)):
            entries.append(self._item(f"copy {number}", self.texts[original], random))
        self.engine.process(entries)
        for user in ("u", "v", "w"):
            self.visit(user, *random.sample(sorted(self.texts), random.randint(1, 4)))

    def _item(self, id_: str, text: str, random: Random) -> Any:
        self.texts[id_] = text
        attributes: dict[str, Any] = {"stock": random.randint(0, 3), "tags": random.sample(["a", "b", "c"], 2)}
        if random.random() < 0.8:
            attributes["make"] = random.choice(["Norvik", "Fjord", "Aurora"])
        return self.log.upsert(id_, text, attributes=attributes)


FILTERS: tuple[Any, ...] = (
    None,
    {"stock": {"$gt": 0}},
    {"make": "Norvik"},
    {"$or": [{"tags": "a"}, {"make": {"$exists": False}}]},
    {"stock": 99},
)
AT_MOST: tuple[dict[str, int], ...] = ({}, {"make": 1}, {"tags": 2}, {"make": 2, "stock": 1})


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    limit=st.integers(1, 30),
    filter_=st.sampled_from(FILTERS),
    at_most=st.sampled_from(AT_MOST),
    variants=st.sampled_from(["all", "one"]),
    whom=st.sampled_from([{}, {"user": "u"}, {"user": "v", "known": "keep"}, {"session": "nobody"}]),
    first=st.sampled_from([2, 100]),
    diversity=st.sampled_from([0.0, 0.2]),
)
def test_a_list_ends_only_where_nothing_more_may_be_listed(
    seed: int,
    limit: int,
    filter_: Any,
    at_most: dict[str, int],
    variants: str,
    whom: dict[str, str],
    first: int,
    diversity: float,
) -> None:
    shop = Catalogue(Random(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "_FIRST", first)  # with 2, sources are asked again and again
        patch.setattr(rules, "_AT_ONCE", first)
        found = shop.listed(
            limit=limit, filter=filter_, at_most=at_most, variants=variants, diversity=diversity, **whom
        )
        # What may be listed at all, each group by the item that is shown of it.
        allowed = shop.listed(limit=100, filter=filter_, diversity=0.0, **whom)
    groups = [one.group for one in found]
    assert len(set(groups)) == len(groups) <= limit
    assert {(one.group, one.id) for one in found} <= {(one.group, one.id) for one in allowed}
    assert _keep_to(found, at_most, variants)
    if len(found) < limit:
        more = [one for one in allowed if one.group not in groups]
        assert not [one.id for one in more if _keep_to([*found, one], at_most, variants)]


def _keep_to(found: list[Listed], at_most: dict[str, int], variants: str) -> bool:
    """Whether a list keeps to its limits."""
    for name, most in at_most.items():
        values = [
            value
            for one in found
            if (given := one.attributes.get(name)) is not None
            for value in (given if isinstance(given, list) else [given])
        ]
        if any(values.count(value) > most for value in values):
            return False
    if variants == "all":
        return True
    families = [family_of(Item(id="x", text=one.text)) for one in found]
    return not any(
        one is not None and other is not None and one.includes(other)
        for place, one in enumerate(families)
        for other in families[:place]
    )


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), filter_=st.sampled_from(FILTERS))
def test_without_limits_a_list_for_nobody_is_all_that_passes(seed: int, filter_: Any) -> None:
    shop = Catalogue(Random(seed))
    found = shop.listed(limit=100, filter=filter_)
    passing = [shop.engine.get(id_) for id_ in shop.texts]
    groups = {one.group for one in passing if one is not None and (filter_ is None or _passes(one.attributes, filter_))}
    assert {one.group for one in found} == groups


def _passes(attributes: Any, filter_: Any) -> bool:
    return {
        "{'stock': {'$gt': 0}}": attributes["stock"] > 0,
        "{'make': 'Norvik'}": attributes.get("make") == "Norvik",
        "{'stock': 99}": False,
    }.get(str(filter_), "a" in attributes["tags"] or "make" not in attributes)
