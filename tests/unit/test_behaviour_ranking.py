"""The items with the highest levels, and sums by number: as sorting everything gives them."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import numpy as np
import pytest

from recommender_engine.recommend.behaviour.ranking import Ranking
from recommender_engine.recommend.behaviour.sums import largest, sums_by


def ranked(levels: dict[int, float]) -> list[tuple[float, int]]:
    return sorted((-level, num) for num, level in levels.items())


@pytest.mark.parametrize("most", [1, 4, 30])
@pytest.mark.parametrize("seed", range(3))
def test_a_ranking_follows_levels_that_rise_and_items_that_go(most: int, seed: int) -> None:
    chance = Random(seed)
    levels = {num: float(chance.randrange(5)) for num in range(12)}
    ranking = Ranking(ranked(levels), most)
    known = 0
    for _ in range(400):
        num = chance.randrange(25)
        if chance.random() < 0.1 and levels.pop(num, None) is not None:
            ranking.drop(num)
        else:
            levels[num] = levels.get(num, 0.0) + chance.choice((0.0, 0.5, 1.0, 3.0))
            ranking.rose(num, levels[num])
        expected = [num for _, num in ranked(levels)]
        count = chance.randrange(1, 8)
        if ranking.has(count):
            assert ranking.nums()[:count] == expected[:count]
            known += 1
        else:
            ranking = Ranking(ranked(levels), most)
    assert known


def test_a_ranking_from_which_all_have_gone_does_not_take_the_next_for_the_first() -> None:
    ranking = Ranking(ranked({1: 9.0, 2: 5.0}), 1)
    ranking.drop(1)
    assert ranking.nums() == []
    ranking.rose(3, 2.0)
    assert not ranking.has(1), "item 2 is ahead of it"


@pytest.mark.parametrize("highest", [5, 400, 10**7])
def test_sums_are_those_of_each_number_in_the_order_given(highest: int) -> None:
    chance = Random(highest)
    numbers = [chance.randrange(highest) for _ in range(300)]
    weights = [chance.random() for _ in numbers]
    expected: defaultdict[int, float] = defaultdict(float)
    for num, weight in zip(numbers, weights, strict=True):
        expected[num] += weight
    unique, sums = sums_by(np.array(numbers, np.int64), np.array(weights))
    assert dict(zip(unique.tolist(), sums.tolist(), strict=True)) == dict(sorted(expected.items()))
    assert [len(one) for one in sums_by(np.empty(0, np.int64), np.empty(0))] == [0, 0]


@pytest.mark.parametrize("most", [1, 3, 10, 50])
def test_the_largest_come_first_and_of_equal_ones_the_smaller_tie(most: int) -> None:
    sums = np.array([2.0, 5.0, 2.0, 5.0, 1.0, 2.0, 0.0, 2.0])
    ties = np.array([7, 6, 5, 4, 3, 2, 1, 0], np.int64)
    expected = sorted(range(len(sums)), key=lambda place: (-sums[place], ties[place]))[:most]
    assert largest(sums, ties, most).tolist() == expected
