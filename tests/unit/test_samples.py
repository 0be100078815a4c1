"""The demo tables keep what their README promises."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from recommender_engine.items.item import Item

SAMPLES = Path(__file__).resolve().parents[2] / "workers" / "celery_recommender" / "samples"
LABELS = ("duplicate_of", "near_miss_of")

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[str, ...]
    at_least: int

    def rows(self) -> list[Row]:
        with (SAMPLES / self.name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
        assert tuple(reader.fieldnames or ()) == (*self.columns, *LABELS)
        return rows


TICKETS = Table("tickets.csv", ("id", "title", "description", "requester", "product", "created_at"), at_least=320)
PRODUCTS = Table("products.csv", ("id", "title", "description", "brand", "category", "price_eur"), at_least=220)

both = pytest.mark.parametrize("table", [TICKETS, PRODUCTS], ids=lambda table: table.name)


def folded(row: Row) -> str:
    """Title and description without regard to case and white space."""
    return " ".join(f"{row['title']} {row['description']}".lower().split())


@both
def test_is_large_enough_and_every_row_has_its_own_id(table: Table) -> None:
    ids = [row["id"] for row in table.rows()]

    assert len(ids) >= table.at_least
    assert [id_ for id_, count in Counter(ids).items() if count > 1] == []


@both
def test_no_required_cell_is_empty_and_no_row_has_extra_or_missing_cells(table: Table) -> None:
    for row in table.rows():
        assert set(row) == {*table.columns, *LABELS}
        assert [column for column in table.columns if not row[column].strip()] == [], row["id"]
        assert None not in row.values(), row["id"]


@both
def test_every_row_makes_a_valid_item(table: Table) -> None:
    for row in table.rows():
        fields = {column: row[column] for column in table.columns if column in {"title", "description", "brand"}}

        item = Item(collection="demo", id=row["id"], fields=fields)

        assert item.content.startswith(row["title"])


@both
def test_labels_name_an_earlier_row_and_never_both(table: Table) -> None:
    earlier: set[str] = set()
    for row in table.rows():
        named = [row[label] for label in LABELS if row[label]]
        assert len(named) <= 1, row["id"]
        assert earlier.issuperset(named), row["id"]
        earlier.add(row["id"])


@both
def test_a_duplicate_names_the_first_row_of_its_group(table: Table) -> None:
    rows = table.rows()
    duplicates = {row["id"] for row in rows if row["duplicate_of"]}

    assert [row["id"] for row in rows if row["duplicate_of"] in duplicates] == []


@both
def test_labels_are_as_frequent_as_promised(table: Table) -> None:
    rows = table.rows()
    group_sizes = Counter(row["duplicate_of"] for row in rows if row["duplicate_of"])

    assert 0.18 <= group_sizes.total() / len(rows) <= 0.22
    assert 0.12 <= sum(bool(row["near_miss_of"]) for row in rows) / len(rows) <= 0.18
    assert {1, 2, 3} == set(group_sizes.values()), "groups of two, three and four"


@both
def test_duplicates_are_reworded_but_for_a_few_deliberate_copies(table: Table) -> None:
    rows = table.rows()
    seen: set[tuple[str, str]] = set()  # group, folded text
    copies = []
    for row in rows:
        said = (row["duplicate_of"] or row["id"], folded(row))
        if said in seen:
            copies.append(row["id"])
        seen.add(said)

    assert copies, "a few plain copies belong to the demo"
    assert len(copies) <= 0.05 * sum(bool(row["duplicate_of"]) for row in rows)


@both
def test_no_text_repeats_outside_the_labelled_duplicates(table: Table) -> None:
    texts = Counter(folded(row) for row in table.rows() if not row["duplicate_of"])

    assert [text for text, count in texts.items() if count > 1] == []


@both
def test_duplicates_are_spread_out(table: Table) -> None:
    rows = table.rows()
    at = {row["id"]: position for position, row in enumerate(rows)}
    distances = [at[row["id"]] - at[row["duplicate_of"]] for row in rows if row["duplicate_of"]]

    assert sum(distance == 1 for distance in distances) <= 0.1 * len(distances)


def test_tickets_are_in_order_of_time() -> None:
    times = [row["created_at"] for row in TICKETS.rows()]

    assert [time for time in times if datetime.fromisoformat(time).strftime("%Y-%m-%dT%H:%M:%SZ") != time] == []
    assert times == sorted(set(times))


def test_prices_are_positive_amounts_in_cents() -> None:
    for row in PRODUCTS.rows():
        price = Decimal(row["price_eur"])
        assert price > 0, row["id"]
        assert price.as_tuple().exponent == -2, row["id"]
