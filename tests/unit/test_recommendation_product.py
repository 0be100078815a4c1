"""The engine as a method that is judged: what it is sent, when, and what it may know."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from recommender_engine.evaluation import embed
from recommender_engine.evaluation.recommendations import (
    Catalogue,
    History,
    Interaction,
    Product,
    Recorded,
    baselines,
    judge_items,
    truth_of,
)
from recommender_engine.items import CollectionSettings, UpsertItem
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FixedEncoders
from tools.recommendation_sets import SPLIT as SPLIT_OF_MADE
from tools.recommendation_sets import made, withheld

HOUR = 3600 * 1000
SPLIT = 100 * HOUR
WORDS = ("oak", "tin", "jute", "wool", "clay", "silk", "cork", "bone", "flax", "jade", "lead", "mica")
ITEMS = [UpsertItem(id=f"i{number}", text=f"{word} {number} vase") for number, word in enumerate(WORDS)]


def basket(hour: int, user: str, *items: int, kind: str = "buy", value: float | None = None) -> list[Interaction]:
    return [Interaction(f"i{item}", hour * HOUR, user, f"s{hour}", kind, value) for item in items]


@pytest.fixture
def history() -> History:
    """Two pairs that are bought together, once with another order before the split; and ratings."""
    found = []
    for hour in range(1, 90, 4):
        found += basket(hour, f"u{hour % 3}", 0, 1) + basket(hour + 2, f"v{hour % 3}", 2, 3)
    found += basket(95, "u0", 5, kind="rate", value=1.0) + basket(96, "u0", 6, kind="rate", value=5.0)
    found += basket(97, "u0", 7, kind="rate") + basket(98, "u0", 8, kind="glance")
    found += basket(101, "u0", 0, 1, 4) + basket(103, "v0", 2) + basket(105, "u0", 9)
    return History([item.id for item in ITEMS], found, SPLIT)


@pytest.fixture
def product(history: History) -> Iterator[Product]:
    with Product(Recorded(ITEMS, history, truth_of(history, min_joint=1)), FixedEncoders()) as found:
        yield found


def test_ratings_count_as_the_settings_of_the_collection_say(history: History) -> None:
    assert set(history.before_split().items.tolist()) == {0, 1, 2, 3, 6}
    strict = CollectionSettings(liked_from=5.5, interaction_weights={"glance": 0.5})
    again = History([item.id for item in ITEMS], history.interactions, SPLIT, settings=strict)
    assert set(again.before_split().items.tolist()) == {0, 1, 2, 3, 8}


def test_what_is_used_together_before_the_split_is_recommended(history: History, product: Product) -> None:
    past = history.before_split()
    assert product.for_item(past, 0)[0] == 1
    assert product.for_item(past, 3)[0] == 2
    assert product.rejected == {"missing_field": 1, "unknown_kind": 1}


def test_more_than_the_past_is_never_known(history: History, product: Product) -> None:
    query = truth_of(history).baskets[-1]
    product.for_user(history.before(query.place), query.user, known=True)
    with pytest.raises(ValueError, match="interactions are known, and only"):
        product.for_item(history.before_split(), 0)


def test_what_is_known_is_left_out_or_kept(history: History, product: Product) -> None:
    past, user = history.before_split(), history.users.index("u0")
    assert {0, 1} <= set(product.for_user(past, user, known=True))
    assert not {0, 1, 6} & set(product.for_user(past, user, known=False))


def test_only_candidates_are_sent(history: History, product: Product) -> None:
    candidates = set(np.flatnonzero(truth_of(history).candidates).tolist())
    assert candidates == {0, 1, 2, 3, 4, 6, 9}
    assert set(product.for_item(history.before_split(), 0)) <= candidates - {0}


def test_items_are_collapsed_only_by_default() -> None:
    items = [
        UpsertItem(id=f"i{number}", text=f"{'oak vase with a lid' if number < 4 else WORDS[number]}")
        for number in range(12)
    ]
    found = [one for hour in range(1, 40, 2) for one in basket(hour, f"u{hour}", *range(12))]
    history = History([item.id for item in items], [*found, *basket(101, "u1", 1)], SPLIT)
    for as_they_are, listed in ((True, {0, 1, 2}), (False, {0})):
        recorded = Recorded(items, history, truth_of(history))
        with Product(recorded, FixedEncoders(), as_they_are=as_they_are) as product:
            lists = product.for_item(history.before_split(), 11)
            assert {0, 1, 2, 3} & set(lists) >= listed
            assert len({0, 1, 2, 3} & set(lists)) == (4 if as_they_are else 1)


# -- made collections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["misleading-text", "noisy-behaviour"])
def test_a_made_collection_is_what_it_says(kind: str) -> None:
    items, interactions = made(kind, 1)
    assert list(made(kind, 1)[1])[:500] == list(made(kind, 1)[1])[:500] != list(made(kind, 2)[1])[:500]
    upserts = [UpsertItem(id=id_, text=text) for id_, text in items]
    recorded = [Interaction(one.item, round(one.at.timestamp() * 1000), one.user, one.session) for one in interactions]
    history = History([item.id for item in upserts], recorded, round(SPLIT_OF_MADE.timestamp() * 1000))
    truth = truth_of(history)
    assert len(truth.partners) > 300
    things = Catalogue(upserts, embed(DeterministicEncoder(), [item.content for item in upserts]))
    methods = baselines(truth.candidates, things)
    words, together = (
        judge_items(methods[name], history, truth, things).recall_at_10 or 0.0 for name in ("tfidf", "co_occurrence")
    )
    if kind == "noisy-behaviour":
        assert words > 0.5 > 5 * together
    else:
        assert together > 0.5 > 5 * words


def test_withheld_items_are_cold_and_otherwise_nothing_changes() -> None:
    items, interactions = made("misleading-text", 1)
    ids, everything = [id_ for id_, _ in items], list(interactions)
    chosen, rest = withheld(ids, everything, SPLIT_OF_MADE, 50, 3)
    assert len(chosen) == 50
    assert [one for one in everything if one.at >= SPLIT_OF_MADE or one.item not in chosen] == rest
    recorded = [Interaction(one.item, round(one.at.timestamp() * 1000), one.user, one.session) for one in rest]
    truth = truth_of(History(ids, recorded, round(SPLIT_OF_MADE.timestamp() * 1000)))
    asked = {ids[item] for item in truth.partners}
    assert chosen == {id_ for id_ in asked if not truth.warm[ids.index(id_)]}
