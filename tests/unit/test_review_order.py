"""The number by which pairs come before people."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.pipeline.dedup.review_order import chance_of, turn

probabilities = st.integers(1, 10_000).map(lambda number: number / 10_000)
chances = st.floats(0.0, 1.0, exclude_max=True)
rates = st.integers(0, 12).map(lambda power: 2.0**-power)


@given(st.lists(probabilities, min_size=1), st.data())
def test_at_a_rate_of_one_it_is_likeliest_first_whatever_the_chances(stated: list[float], data: st.DataObject) -> None:
    drawn = [(one, data.draw(chances)) for one in stated]
    assert [p for p, _ in sorted(drawn, key=lambda one: turn(*one))] == sorted(stated, reverse=True)


@given(probabilities, probabilities, chances, chances, rates)
def test_pairs_asked_at_a_rate_come_first_and_then_the_likelier(
    one: float, other: float, chance: float, another: float, rate: float
) -> None:
    first, second = turn(one, chance, rate), turn(other, another, rate)
    if chance <= rate < another:
        assert first < second or (math.isclose(first, second) and other == 1.0)
    if chance <= rate and another <= rate:
        assert (first < second) == (one > other)


def test_the_first_turn_has_about_the_rate_of_the_pairs_and_the_next_as_many() -> None:
    turns = [math.floor(turn(0.5, chance_of("item", f"other-{number}"), 1 / 8)) for number in range(4000)]
    counts = [turns.count(number) for number in range(4)]
    assert all(abs(count - wanted) < 100 for count, wanted in zip(counts, (500, 500, 1000, 2000), strict=True))


def test_a_pair_has_one_number_whichever_is_named_first() -> None:
    assert chance_of("a", "b") == chance_of("b", "a") != chance_of("a", "c")
    assert 0.0 <= chance_of("\udcff", "b") < 1.0
