"""Recommendations against recorded interactions: the split, the truth, the figures, the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np
import pytest

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.recommendations import (
    Catalogue,
    History,
    Interaction,
    Past,
    baselines,
    judge_items,
    judge_users,
    truth_of,
)
from recommender_engine.evaluation.recommendations.figures import Lists
from recommender_engine.items import Item

HOUR = 3600 * 1000
SPLIT = 1000 * HOUR
ITEMS = [f"i{number}" for number in range(24)]


def basket(hour: int, user: str | None, items: str, session: str | None = None) -> list[Interaction]:
    return [Interaction(f"i{item}", hour * HOUR, user, session) for item in items.split()]


def history(*baskets: list[Interaction], items: Sequence[str] = ITEMS, until: int | None = None) -> History:
    return History(items, [one for some in baskets for one in some], SPLIT, until)


def catalogue() -> Catalogue:
    """Items whose numbers have the same last digit in base 4 have like texts and like vectors."""
    vectors = np.eye(4, dtype=np.float32)[[number % 4 for number in range(len(ITEMS))]]
    words = ("cup", "lamp", "bag", "clock")
    items = [Item(id=id_, text=f"{words[number % 4]} {id_}") for number, id_ in enumerate(ITEMS)]
    return Catalogue(items, vectors)


def random_history(seed: int, changed_after: int | None = None) -> History:
    """Baskets of twelve users over 2,000 hours; from ``changed_after`` on, others than without."""
    drawn = np.random.default_rng(seed)
    found = []
    for hour in range(1, 2000, 7):
        if changed_after is not None and hour >= changed_after:
            drawn = np.random.default_rng((seed, hour))
        items = drawn.choice(len(ITEMS), int(drawn.integers(1, 9)), replace=False)
        found += basket(hour, f"u{drawn.integers(12)}", " ".join(map(str, items)), f"s{hour}")
    return History(ITEMS, found, SPLIT)


# -- baskets and truth -------------------------------------------------------------------------------------------------


def test_a_basket_ends_with_a_pause_with_the_session_and_at_the_split() -> None:
    found = history(
        basket(10, "u", "1"),
        basket(11, "u", "2"),  # an hour later: another basket
        [Interaction("i3", 11 * HOUR + HOUR - 1, "u")],
        basket(20, "u", "4", "a") + basket(20, "u", "5", "b"),
        [Interaction("i6", SPLIT - 1, "u"), Interaction("i7", SPLIT, "u")],
    )
    members = [found.item_of[found.basket_of == one].tolist() for one in range(found.baskets)]
    assert members == [[1], [2, 3], [4], [5], [6], [7]]


def test_an_item_counts_once_a_basket_and_what_is_dismissed_does_not() -> None:
    dismissed = Interaction("i9", HOUR, "u", kind="dismiss")
    found = history(basket(1, "u", "3 3 4"), [dismissed], basket(1000, "u", "3"))
    assert found.before_split().items.tolist() == [3, 4]
    assert found.known == 4


def test_partners_are_those_of_the_truth_period_by_cosine() -> None:
    before = [basket(hour, None, "0 20 21 22 23", f"b{hour}") for hour in range(1, 40, 2)]
    after = [basket(1000 + 2 * hour, None, "0 1 2 3 4 5", f"t{hour}") for hour in range(4)]
    after += [basket(1100 + 2 * hour, None, "5", f"t5{hour}") for hour in range(9)]
    after += [basket(1200 + 2 * hour, None, "0 6", f"t6{hour}") for hour in range(3)]
    truth = truth_of(history(*before, *after), min_joint=4)
    assert set(truth.partners) == {0, 1, 2, 3, 4, 5}
    assert truth.partners[0].tolist() == [1, 2, 3, 4, 5]  # 5 is used often without 0, and 6 only three times with it
    assert truth.partners[1].tolist() == [2, 3, 4, 0, 5]
    assert truth.warm[[0, 1, 20]].tolist() == [True, False, True]
    assert np.flatnonzero(truth.candidates).tolist() == [0, 1, 2, 3, 4, 5, 6, 20, 21, 22, 23]


def test_each_later_basket_of_a_known_user_is_predicted_from_all_before_it() -> None:
    found = history(
        basket(1, "old", "1 2"),
        basket(1001, "new", "1"),
        basket(1002, "old", "2 3"),
        basket(1003, None, "4", "anonymous"),
        basket(1005, "new", "1 5"),
        basket(1007, "old", "3"),
    )
    truth = truth_of(found)
    asked = [(found.users[one.user], one.items.tolist(), one.new.tolist(), one.place) for one in truth.baskets]
    assert asked == [("old", [2, 3], [3], 3), ("new", [1, 5], [5], 6), ("old", [3], [], 8)]


def test_a_share_of_the_users_is_chosen_by_their_ids() -> None:
    whole, half = (truth_of(random_history(3), user_share=share) for share in (1.0, 0.5))
    asked = {one.user for one in half.baskets}
    assert 0 < len(asked) < len({one.user for one in whole.baskets})
    assert [one.place for one in half.baskets] == [one.place for one in whole.baskets if one.user in asked]


@pytest.mark.parametrize(
    ("hours", "message"),
    [((1001, 1002), "no interaction before the split"), ((1, 2), "no interaction from the split to the end")],
)
def test_both_sides_of_the_split_are_needed(hours: tuple[int, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        history(*(basket(hour, "u", "1") for hour in hours))


def test_what_is_after_the_end_is_left_out() -> None:
    found = history(basket(1, "u", "1"), basket(1000, "u", "2"), basket(1001, "u", "3"), until=1001 * HOUR)
    assert len(found.interactions) == 2


def test_an_unknown_item_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="the item 'i99'"):
        history(basket(1, "u", "99"), basket(1001, "u", "1"))


# -- nothing leaks -----------------------------------------------------------------------------------------------------


def test_nothing_after_the_split_changes_a_list_for_an_item() -> None:
    one, other = random_history(5), random_history(5, changed_after=1000)
    everything = np.ones(len(ITEMS), np.bool_)
    assert [found.item for found in one.interactions] != [found.item for found in other.interactions]
    for name, method in baselines(everything, catalogue()).items():
        mine, theirs = (
            [method.for_item(found.before_split(), item) for item in range(len(ITEMS))] for found in (one, other)
        )
        assert mine == theirs, name


def test_nothing_from_a_basket_on_changes_the_list_before_it() -> None:
    one, other = random_history(5), random_history(5, changed_after=1400)
    everything = np.ones(len(ITEMS), np.bool_)
    places = [query.place for query in truth_of(one).baskets if one.interactions[query.place].at_ms < 1400 * HOUR]
    assert len(places) > 20
    for name, method in baselines(everything, catalogue()).items():
        for place in places:
            user = one.users.index(str(one.interactions[place].user))
            mine, theirs = (method.for_user(found.before(place), user, known=True) for found in (one, other))
            assert mine == theirs, name


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figures_of_a_list() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    lists = Lists(8, vectors, np.array([1.0, 2.0, 3.0, 4.0]))
    lists.add([0, 1, 2], np.array([1, 3]))
    lists.add([0], np.array([0]))
    found = lists.list_figures()
    assert found.recall_at_10 == pytest.approx((0.5 + 1.0) / 2)
    gain = (1 / log2(3)) / (1 + 1 / log2(3))
    assert found.ndcg_at_10 == pytest.approx((gain + 1.0) / 2)
    assert found.recall_at_10_se == pytest.approx(np.std([0.5, 1.0], ddof=1) / np.sqrt(2))
    assert found.coverage == pytest.approx(3 / 8)
    assert found.intra_list_similarity == pytest.approx(1 / 3)
    assert found.novelty == pytest.approx((2.0 + 1.0) / 2)
    assert (found.queries, found.short) == (2, 2)


def test_recall_is_of_ten_where_more_is_relevant() -> None:
    lists = Lists(40, np.eye(40, dtype=np.float32), np.zeros(40))
    lists.add(list(range(5, 15)), np.arange(20))
    assert lists.figures().recall_at_10 == 1.0
    assert lists.figures().ndcg_at_10 == pytest.approx(1.0)


class Told:
    """Recommends what it is told to, and remembers what it was allowed to see."""

    def __init__(self, answers: dict[int, list[int]]) -> None:
        self.answers = answers
        self.seen: list[int] = []

    def for_item(self, past: Past, item: int) -> list[int]:
        self.seen.append(len(past.interactions))
        return self.answers.get(item, [])

    def for_user(self, past: Past, user: int, *, known: bool) -> list[int]:
        self.seen.append(len(past.interactions))
        return self.answers[user] if known else []


def test_warm_and_cold_items_are_told_apart() -> None:
    before = [basket(hour, None, "0", f"b{hour}") for hour in range(1, 9, 2)]
    after = [basket(1000 + 2 * hour, None, "0 1 2 3 4 5", f"t{hour}") for hour in range(4)]
    found = history(*before, *after)
    truth, method = truth_of(found, min_joint=4), Told({0: [1, 2, 3, 4, 5], 1: [0]})
    figures = judge_items(method, found, truth, catalogue())
    assert (figures.queries, figures.warm.queries, figures.cold.queries) == (6, 1, 5)
    assert figures.warm.recall_at_10 == 1.0
    assert figures.cold.recall_at_10 == pytest.approx(0.2 / 5)
    assert set(method.seen) == {4}


def test_users_are_judged_with_what_they_know_and_without() -> None:
    found = history(basket(1, "u", "1 2"), basket(1001, "u", "2 3"), basket(1003, "u", "3"))
    figures = judge_users(Told({0: [3]}), found, truth_of(found), catalogue())
    assert figures.all.recall_at_10 == pytest.approx((0.5 + 1.0) / 2)
    assert (figures.new.queries, figures.new.recall_at_10, figures.new.short) == (1, 0.0, 1)


# -- baselines ---------------------------------------------------------------------------------------------------------


def test_each_baseline_follows_its_signal() -> None:
    pairs = [basket(hour, "u", "0 5 6", f"b{hour}") for hour in range(1, 9, 2)]
    popular = [basket(hour, "v", "9", f"p{hour}") for hour in range(101, 161, 2)]
    found = history(*pairs, *popular, basket(1001, "u", "0"))
    methods = baselines(np.ones(len(ITEMS), np.bool_), catalogue())
    past, user = found.before_split(), found.users.index("u")
    first = {name: method.for_item(past, 0) for name, method in methods.items()}
    assert first["popularity"][0] == 9
    assert first["co_occurrence"][:3] == first["recent_co_occurrence"][:3] == [5, 6, 9]
    assert {one % 4 for one in first["text"][:5]} == {one % 4 for one in first["tfidf"][:5]} == {0}
    known, new = (methods["own_frequency"].for_user(past, user, known=known) for known in (True, False))
    assert (set(known[:3]), known[3], new[0]) == ({0, 5, 6}, 9, 9)
    assert not {0, 5, 6} & set(new)
    assert all(0 not in found and len(found) == len(set(found)) == 10 for found in first.values())


def test_only_candidates_are_recommended() -> None:
    found, candidates = random_history(1), np.zeros(len(ITEMS), np.bool_)
    candidates[3:12] = True
    past = found.before_split()
    for name, method in baselines(candidates, catalogue()).items():
        assert set(method.for_item(past, 5)) == set(range(3, 12)) - {5}, name
        assert set(method.for_user(past, 0, known=True)) == set(range(3, 12)), name


def test_popularity_is_the_same_in_any_order_of_questions() -> None:
    found = random_history(2)
    everything = np.ones(len(ITEMS), np.bool_)
    asked = baselines(everything, catalogue())["popularity"]
    for place in range(50, len(found.interactions), 37):
        asked.for_user(found.before(place), 0, known=True)
    again = baselines(everything, catalogue())["popularity"]
    assert asked.for_item(found.before_split(), 0) == again.for_item(found.before_split(), 0)
