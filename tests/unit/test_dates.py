"""Dates in the forms that people and programs write them: read as what they are, or refused in a sentence."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_recommender.records.values.dates import (
    DateForm,
    NotADateError,
    date_form,
    looks_like_a_date,
    stands_for_none,
)
from tests.support.ratios import times_as_long

BY_PLACE = DateForm()


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2025-03-10", "2025-03-10T00:00:00+00:00"),
        ("20250310", "2025-03-10T00:00:00+00:00"),
        (20250310, "2025-03-10T00:00:00+00:00"),
        ("20250310143000", "2025-03-10T14:30:00+00:00"),
        ("20250310T143000Z", "2025-03-10T14:30:00+00:00"),
        ("2025-W11-1", "2025-03-10T00:00:00+00:00"),
        ("2025-069", "2025-03-10T00:00:00+00:00"),
        ("2025-03-10t14:30:00z", "2025-03-10T14:30:00+00:00"),
        ("2025-03-10 14:30:00 +0100", "2025-03-10T14:30:00+01:00"),
        ("2025-03-10T14:30:00.000+0000", "2025-03-10T14:30:00+00:00"),
        ("2025-03-10T14:30:00.123456789Z", "2025-03-10T14:30:00.123456+00:00"),
        ("2025-03-10 14:30:00,5", "2025-03-10T14:30:00.500000+00:00"),
        ("2025-03-10 14:30:00 UTC", "2025-03-10T14:30:00+00:00"),
        ("2025-03-10 14:30:00 CET", "2025-03-10T14:30:00+01:00"),
        ("2025-03-10T14:30:00+01:00[Europe/Berlin]", "2025-03-10T14:30:00+01:00"),
        ("2025/3/1 9:05 pm", "2025-03-01T21:05:00+00:00"),
        ("10.03.2025", "2025-03-10T00:00:00+00:00"),
        ("10.03.2025, 14:30 Uhr", "2025-03-10T14:30:00+00:00"),
        ("10.03.2025 um 14:30 Uhr", "2025-03-10T14:30:00+00:00"),
        ("25/03/2025", "2025-03-25T00:00:00+00:00"),
        ("12/31/2025 11:59:59 PM", "2025-12-31T23:59:59+00:00"),
        ("03-03-2025", "2025-03-03T00:00:00+00:00"),
        ("10 March 2025", "2025-03-10T00:00:00+00:00"),
        ("Mar 10, 2025 2:30 PM", "2025-03-10T14:30:00+00:00"),
        ("10/Mar/25 9:15 AM", "2025-03-10T09:15:00+00:00"),
        ("10/Mar/2025:09:00:00 +0100", "2025-03-10T09:00:00+01:00"),
        ("Mon, 10 Mar 2025 09:00:00 +0100", "2025-03-10T09:00:00+01:00"),
        ("Mon Mar 10 09:00:00 CET 2025", "2025-03-10T09:00:00+01:00"),
        ("10-MAR-25", "2025-03-10T00:00:00+00:00"),
        ("10. März 2025", "2025-03-10T00:00:00+00:00"),
        ("1er mars 2025", "2025-03-01T00:00:00+00:00"),
        ("1 août 2025", "2025-08-01T00:00:00+00:00"),
        ("10 de marzo de 2025", "2025-03-10T00:00:00+00:00"),
        ("10 ottobre 2025 alle 10:00", "2025-10-10T10:00:00+00:00"),
        ("12 października 2025", "2025-10-12T00:00:00+00:00"),
        ("10-Mar-25", "2025-03-10T00:00:00+00:00"),
        ("Mar 10, 68", "2068-03-10T00:00:00+00:00"),  # as in figures, whatever year it is now
        ("10. März 69", "1969-03-10T00:00:00+00:00"),
        ("10-Mar-99", "1999-03-10T00:00:00+00:00"),
        ("10-MAR-25 02.30.00.000000 PM", "2025-03-10T14:30:00+00:00"),  # as Oracle writes it
        ("10-MAR-25 14.30.05", "2025-03-10T14:30:05+00:00"),
        (dt.date(2025, 3, 10), "2025-03-10T00:00:00+00:00"),
        (dt.datetime(2025, 3, 10, 9), "2025-03-10T09:00:00+00:00"),
    ],
)
def test_what_can_be_read_in_one_way(cell: Any, moment: str) -> None:
    read = BY_PLACE.read(cell)
    assert read is not None
    assert read.isoformat() == moment


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("10/03/2025", "two ways"),
        ("10-03-2025", "two ways"),
        ("10.03.25", "two ways"),
        ("2025", "a year"),
        ("45726", "--excel-dates"),
        (45726, "--excel-dates"),
        ("1741617000", "seconds since 1970 only where"),
        ("0", "not for 1970"),
        ("March 2025", "not a whole date"),
        ("10 Mar", "not a whole date"),
        ("2025-W11", "not a date"),
        ("2025-02-30", "not a date"),
        ("31.02.2025", "not a date"),
        ("25:10", "not a date"),
        ("yesterday", "not a date"),
        ("due 10 March 2025", "not a date"),
        ("2025-03-10 14:30 XXX", "not a date"),
        ("x" * 1000, "not a date"),
        (True, "not a date"),
    ],
)
def test_what_cannot_is_refused_with_the_reason(cell: Any, why: str) -> None:
    with pytest.raises(NotADateError, match=why):
        BY_PLACE.read(cell)


@pytest.mark.parametrize("cell", ["0000-00-00", "0000-00-00 00:00:00", "00.00.0000", "0001-01-01T00:00:00", "", None])
def test_what_programs_write_for_no_date_is_none(cell: Any) -> None:
    assert BY_PLACE.read(cell) is None


def test_what_many_write_for_none_is_known() -> None:
    assert stands_for_none(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    assert not stands_for_none(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))


def test_the_order_that_a_person_says_is_kept_to() -> None:
    day, month = DateForm("day"), DateForm("month")
    assert str(day.read("03/04/2025"))[:10] == str(day.read("03-04-25"))[:10] == "2025-04-03"
    assert str(month.read("03/04/2025 1:05 pm"))[:16] == "2025-03-04 13:05"
    for form, cell in ((day, "03/25/2025"), (month, "25/03/2025")):
        with pytest.raises(NotADateError, match="not a date"):
            form.read(cell)


@pytest.mark.parametrize(
    ("cells", "number", "moment"),
    [
        (["1741617000", "", "0"], "1741617000", "2025-03-10T14:30:00+00:00"),
        (["1741617000000"], "1741617000000", "2025-03-10T14:30:00+00:00"),
        (["1741617000000000"], "1741617000000000", "2025-03-10T14:30:00+00:00"),
        ([1741617000.25, None], 1741617000.25, "2025-03-10T14:30:00.250000+00:00"),
        ([Decimal(1741617000)], Decimal(1741617000), "2025-03-10T14:30:00+00:00"),
        (["123456789", "1741617000"], "123456789", "1973-11-29T21:33:09+00:00"),
    ],
)
def test_a_column_that_plainly_counts_from_1970(cells: list[Any], number: Any, moment: str) -> None:
    read = date_form(cells).read(number)
    assert read is not None
    assert read.isoformat() == moment


@pytest.mark.parametrize(
    "cells",
    [
        ["1741617000", "1741617000000"],
        ["1741617000", "2025-03-10"],
        ["1741617000", "45726"],
        ["45726"],
        ["2025"],
        ["5"],
        [],
    ],
)
def test_a_mixed_column_counts_from_nowhere(cells: list[str]) -> None:
    form = date_form(cells)
    for cell in ("1741617000", "45726", "2025", "5"):
        with pytest.raises(NotADateError, match=r"number|year|1970"):
            form.read(cell)


def test_days_of_a_spreadsheet_where_a_person_says_so() -> None:
    form = date_form(["45726", "45726.604166667"], sheet_days=True)
    assert [str(form.read(cell))[:16] for cell in ("45726", 45726.604166667)] == [
        "2025-03-10 00:00",
        "2025-03-10 14:30",
    ]
    assert str(form.read("45726,604166667"))[:16] == "2025-03-10 14:30"
    assert str(form.read("10.03.2025"))[:10] == str(form.read("20250310"))[:10] == "2025-03-10"
    with pytest.raises(NotADateError, match="spreadsheet counts"):
        form.read("1741617000")


@given(st.one_of(st.text(max_size=70), st.integers(), st.floats(), st.decimals(), st.none(), st.booleans()))
def test_anything_is_a_moment_with_an_offset_or_none_or_refused(value: Any) -> None:
    for form in (BY_PLACE, DateForm("day", sheet_days=True), DateForm("month", per_second=1)):
        try:
            read = form.read(value)
        except NotADateError:
            continue
        assert read is None or read.tzinfo is not None
        if isinstance(value, int | float | Decimal):
            assert read is None or read.year != 1970
    looks_like_a_date(value)


def test_a_date_costs_little() -> None:
    def look(length: int) -> None:
        for cell in ("10 March 2025" * length, "Mar " * 4 * length, "1." * 8 * length, "0" * 16 * length):
            for _ in range(200):
                looks_like_a_date(cell)
        looks_like_a_date("2025-03-10 " + " " * 12_500 * length)

    assert times_as_long(lambda: look(4), lambda: look(2), 3) <= 3
