"""Rows of behaviour as bytes: what is read is what was written, and small numbers take two bytes."""

from __future__ import annotations

from random import Random

import pytest

from recommender_engine.recommend.behaviour import encoding

NUMBERS = {
    "none": [],
    "small": [3, 1, 65_535, 0],
    "near each other": [70_001, 70_000, 135_535],
    "far apart": [1, 65_537],
    "the largest": [2**32 - 1, 0],
}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_numbers_come_back_in_their_order(numbers: list[int]) -> None:
    data = encoding.encoded_numbers(numbers)
    assert encoding.decoded_numbers(data) == encoding.numbers_in(data).tolist() == numbers


def test_many_rows_are_read_as_each_alone() -> None:
    rows = {num: encoding.encoded_numbers(numbers) for num, numbers in enumerate(NUMBERS.values())}
    found = {num: numbers.tolist() for num, numbers in encoding.numbers_in_each(rows).items()}
    assert found == dict(enumerate(NUMBERS.values()))
    assert encoding.numbers_in_each({}) == {}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("same", [True, False])
def test_weights_come_back_in_their_order(numbers: list[int], same: bool) -> None:
    chance = Random(1)
    weights = {num: 0.1 if same else chance.random() for num in numbers}
    back = encoding.decoded_weights(encoding.encoded_weights(weights))
    assert list(back.items()) == list(weights.items())
    single = {num: encoding.single_precision(weight) for num, weight in weights.items()}
    back = encoding.decoded_partners(encoding.encoded_partners(single))
    assert list(back.items()) == list(single.items())


def test_numbers_near_each_other_take_two_bytes() -> None:
    assert len(encoding.encoded_numbers(NUMBERS["near each other"])) == 7 + 3 * 2
    assert len(encoding.encoded_numbers(NUMBERS["far apart"])) == 7 + 2 * 4
    assert len(encoding.encoded_weights(dict.fromkeys(range(9), 0.1))) == 7 + 9 * 2 + 8
