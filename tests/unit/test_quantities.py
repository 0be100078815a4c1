"""Numbers with units, decimal commas and marks of thousands; codes stay what they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_recommender.records.values.quantities import NumberForm, Undecided, number_form, read_number
from recommender_engine.items.prices import is_price


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["39.99 EUR", "399.00 EUR"], [39.99, 399], "EUR"),
        (["39,99", "399,00"], [39.99, 399], ""),
        (["1.299,00 €", "39 €"], [1299, 39], "EUR"),
        (["$1,299.00", "$5"], [1299, 5], "$"),
        (["1 299,00", "12"], [1299, 12], ""),
        (["1\N{NO-BREAK SPACE}299,00 zł", "5,00 zł"], [1299, 5], "PLN"),
        (["CHF 1'299.00", "CHF 5"], [1299, 5], "CHF"),
        (["39,- €", "5,50 €"], [39, 5.5], "EUR"),
        (["-5,50", "0,25"], [-5.5, 0.25], ""),
        (["1.299", "39,99"], [1299, 39.99], ""),
        (["1,299", "39.99"], [1299, 39.99], ""),
        (["1,299", "39,99"], [1.299, 39.99], ""),
        (["39,99", "39.99"], [39.99, 39.99], ""),
        (["1,234,567", "12"], [1234567, 12], ""),
        (["500 g", "75 g"], [500, 75], "g"),
        (["R$ 5,00", "R$ 1.005,00"], [5, 1005], "BRL"),
    ],
)
def test_a_column_that_is_plainly_one_of_numbers(cells: list[str], numbers: list[float], unit: str) -> None:
    form = number_form(cells)
    assert isinstance(form, NumberForm)
    assert [form.read(cell) for cell in cells] == numbers
    assert form.unit == unit


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["39.99 EUR", "39.99 USD"], "several units: EUR, USD"),
        (["1.299 €", "2.500 €"], "--decimal comma"),
        (["1,299", "2,500"], "--decimal"),
        (["123 456 789", "12"], "groups of three digits"),
        (["39,99 €", "call us"], "of 2 cells only 1 are numbers"),
    ],
)
def test_a_column_in_doubt_stays_text_and_says_why(cells: list[str], reason: str) -> None:
    form = number_form(cells)
    assert isinstance(form, Undecided)
    assert reason in form.reason


def test_a_person_decides_what_a_mark_means() -> None:
    for mark, numbers in (("comma", [1299, 2500.5]), ("point", [1.299, None])):
        form = number_form(["1.299 €", "2.500,50 €"], mark)  # type: ignore[arg-type]
        assert isinstance(form, NumberForm)
        assert [form.read(cell) for cell in ("1.299 €", "2.500,50 €")] == numbers


@pytest.mark.parametrize("cells", [["12", "13.5"], ["red", "blue"], ["00123", "12"], ["A-12", "B-13"], [], [12, None]])
def test_plain_figures_and_words_need_no_form(cells: list[Any]) -> None:
    assert number_form(cells) is None


@pytest.mark.parametrize(
    "cell",
    [
        "00123",
        "+4930123456",
        "12E4",
        "1.2.3",
        "1234 AB",
        "12:30",
        "10.03.2025",
        "a1",
        "3-pack",
        "1,2,3",
        "12,",
        "x" * 99,
    ],
)
def test_codes_are_no_numbers(cell: str) -> None:
    assert read_number(cell) is None


def test_an_odd_cell_of_a_column_of_numbers_is_none() -> None:
    form = number_form(["39,99 €"] * 12 + ["auf Anfrage"])
    assert isinstance(form, NumberForm)
    assert form.read("auf Anfrage") is None
    assert form.read("5,00 $") is None
    assert form.describe() == "numbers in EUR with a decimal comma"


@given(st.text(max_size=60))
def test_any_cell_is_read_or_not(cell: str) -> None:
    reading = read_number(cell)
    assert reading is None or any(number is not None for number in (reading.by_point, reading.by_comma))
    form = number_form([cell])
    assert not isinstance(form, NumberForm) or form.read(cell) is None or isinstance(form.read(cell), int | float)


def test_a_minus_behind_the_figures() -> None:
    form = number_form(["100,00-", "99,50", "1.250,00- EUR"])
    assert isinstance(form, NumberForm)
    assert [form.read(cell) for cell in ("100,00-", "99,50", "1.250,00- EUR", "12,-")] == [-100, 99.5, -1250, 12]


@pytest.mark.parametrize(
    "name",
    ["price", "unitPrice", "PRICE_EUR", "RRP", "Preis", "Preis (brutto)", "Verkaufspreis", "prix_ttc", "precioVenta"],
)
def test_prices_are_recognised_by_their_names(name: str) -> None:
    assert is_price(name)


@pytest.mark.parametrize("name", ["prezzo", "verkoopprijs", "preço", "cena", "pris", "Цена", "価格", "가격"])
def test_prices_are_recognised_in_further_languages(name: str) -> None:
    assert is_price(name)


@pytest.mark.parametrize(
    "name", ["Preisgruppe", "amount", "cost centre", "prize", "surprise", "enterprise", "scenario"]
)
def test_names_that_are_none_of_a_price(name: str) -> None:
    assert not is_price(name)
