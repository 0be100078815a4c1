"""Rows become the items a person meant, and the guesses are told."""

from __future__ import annotations

import datetime as dt
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_recommender.records import BadRow, ItemMapping, MappingOptions, Row, open_records, resolve_mapping
from recommender_engine.errors import ConfigurationError
from recommender_engine.items.item import Item

DATA = Path(os.environ.get("RECOMMENDER_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def csv_file(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "products.csv"
    path.write_text(content)
    return path


def jsonl_file(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "products.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def items(path: Path, start_after: int = 0, **options: Any) -> list[dict[str, Any] | BadRow]:
    with open_records(path, start_after=start_after) as reader:
        mapping = resolve_mapping(reader, MappingOptions(**options))
        found = [mapping.item(row) for row in reader if isinstance(row, Row)]
    for data in found:
        if not isinstance(data, BadRow):
            Item.model_validate_json(json.dumps(data))  # as the receiver will
    return found


def notes(path: Path, **options: Any) -> tuple[str, ...]:
    with open_records(path) as reader:
        return resolve_mapping(reader, MappingOptions(**options)).notes


# --- text ----------------------------------------------------------------------------------------------------------


def test_one_text_column_is_text_and_several_are_fields_in_the_order_given(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,title,brand\n1,Kettle,Acme\n")

    assert items(path, text_fields=("title",)) == [{"id": "1", "text": "Kettle"}]
    (data,) = items(path, text_fields=("brand", "title"))
    assert isinstance(data, dict)
    assert list(data["fields"].items()) == [("brand", "Acme"), ("title", "Kettle")]


def test_a_missing_part_is_left_out_and_no_part_at_all_is_a_bad_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,title,brand\n1,Kettle,\n2,, \n")

    assert items(path, text_fields=("title", "brand")) == [
        {"id": "1", "fields": {"title": "Kettle"}},
        BadRow(2, "no text in column 'title', 'brand'", "no_text"),
    ]


def test_a_list_of_paragraphs_is_text(tmp_path: Path) -> None:
    path = jsonl_file(tmp_path, {"id": 1, "text": ["First.", "Second."]}, {"id": 2, "text": {"de": "Wort"}})

    assert items(path) == [{"id": "1", "text": "First.\nSecond."}, {"id": "2", "text": '{"de": "Wort"}'}]


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("id,title,text,description", "1,a,b,a much longer cell", ("text",)),
        ("id,description,title", "1,a,b", ("title", "description")),
        ("id,Name,Description,price", "1,a,b,9", ("Name", "Description")),
        ("id,subject,body", "1,short,this one is the longest", ("subject", "body")),
        ("id,body,x", "1,a,longer", ("body",)),
        ("Summary,id,message", "a,1,b", ("Summary", "message")),
        ("id,title,price", "1,Kettle,9", ("title",)),
        ("a_very_long_id,id,x", "1,0123456789,ab", ("x",)),
    ],
)
def test_text_columns_are_guessed_and_reported(
    tmp_path: Path, header: str, row: str, expected: tuple[str, ...]
) -> None:
    with open_records(csv_file(tmp_path, f"{header}\n{row}\n")) as reader:
        mapping = resolve_mapping(reader, MappingOptions())
    assert mapping.text_fields == expected
    assert mapping.notes[:2] == ("id: column 'id'", f"text: column {', '.join(map(repr, expected))}")
    assert not mapping.doubt


def test_what_is_used_otherwise_is_no_text(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "sku,category,made,x\nA-1,kitchen things,2026-03-01,ab\n")
    options = {"id_field": "sku", "attributes": ("category",), "timestamp_field": "made"}

    assert notes(path, **options) == ("text: column 'x'",)


def test_the_guess_does_not_depend_on_where_reading_starts(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,a,b\n1,long enough,short\n2,short,much longer than that\n")

    assert items(path, start_after=1) == [{"id": "2", "text": "much longer than that"}]


def test_no_column_with_text(tmp_path: Path) -> None:
    path = jsonl_file(tmp_path, {"id": 1, "price": 2})
    with pytest.raises(ConfigurationError, match="no column holds text; there are 'id', 'price'"):
        items(path)


@pytest.mark.parametrize("content", ["", "id,subject\n"])
def test_without_rows_nothing_is_asked_for(tmp_path: Path, content: str) -> None:
    path = csv_file(tmp_path, content)

    assert items(path) == []
    assert notes(path)[-1] == ("text: column 'subject'" if content else "text: no row to choose a column by")


# --- ids -----------------------------------------------------------------------------------------------------------


def test_without_an_id_column_the_row_number_follows_the_name_of_the_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "colour,text\nred,one\nblue,two\n")

    assert [data["id"] for data in items(path, start_after=1) if isinstance(data, dict)] == ["products-2"]
    assert notes(path)[0] == "id: products-ROW, with the row number"


def test_ids_are_text_of_any_type_and_never_blank(tmp_path: Path) -> None:
    rows = [{"sku": value, "text": "x"} for value in ("A 1", 5, 7.0, 1.5, True, None, "  ")]
    found = items(jsonl_file(tmp_path, *rows, {"text": "x"}), id_field="sku")

    assert [data["id"] for data in found if isinstance(data, dict)] == ["A 1", "5", "7", "1.5", "true"]
    assert found[5:] == [BadRow(number, "no id in column 'sku'", "no_id") for number in (6, 7, 8)]


def test_a_file_name_that_cannot_be_printed_still_gives_ids(tmp_path: Path) -> None:
    path = tmp_path / "10\u202fAM.csv.gz"
    path.write_text("text\nx\n")

    assert items(path) == [{"id": "10_AM-1", "text": "x"}]


# --- attributes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12),
        ("-7", -7),
        ("0", 0),
        ("9.90", 9.9),
        ("-0.5", -0.5),
        ("1.5e3", 1500.0),
        ("true", True),
        ("FALSE", False),
        ("00123", "00123"),  # a postal code
        ("+4930123456", "+4930123456"),  # a telephone number
        ("12E4", "12E4"),  # a stock code
        ("1.2.3", "1.2.3"),  # a version
        ("1.0e999", "1.0e999"),
        ("12345678901234567890", "12345678901234567890"),  # more than 64 bits
        ("١٢", "١٢"),
        ("yes", "yes"),
        (" 12", 12),
    ],
)
def test_csv_attributes_get_the_type_they_look_like(tmp_path: Path, cell: str, value: Any) -> None:
    (data,) = items(csv_file(tmp_path, f"id,text,v\n1,x,{cell}\n"), attributes=("v",))

    assert isinstance(data, dict)
    assert data["attributes"] == {"v": value}
    assert type(data["attributes"]["v"]) is type(value)


def test_empty_csv_cells_are_no_attributes(tmp_path: Path) -> None:
    for cell in ("", "  ", "nan", "NULL", "#N/A", "-"):
        path = csv_file(tmp_path, f"id,text,v\n1,x,{cell}\n")
        assert items(path, attributes=("v",)) == [{"id": "1", "text": "x"}]


def test_json_attributes_keep_their_types(tmp_path: Path) -> None:
    row = {"id": 1, "text": "x", "s": "12", "i": 3, "f": 1.5, "b": True, "n": None, "tags": ["a", "b"], "empty": ""}
    row |= {"sizes": [38, 38.5], "mixed": [1, "a"], "many": [1] * 257, "flags": [True]}
    attributes = tuple(name for name in row if name not in ("id", "text"))

    assert items(jsonl_file(tmp_path, row, {"id": 2, "text": "y"}), attributes=attributes) == [
        {
            "id": "1",
            "text": "x",
            "attributes": {
                "s": "12",
                "i": 3,
                "f": 1.5,
                "b": True,
                "tags": ["a", "b"],
                "empty": "",
                "sizes": [38, 38.5],
                "mixed": '[1, "a"]',
                "many": json.dumps([1] * 257),
                "flags": "[true]",
            },
        },
        {"id": "2", "text": "y"},
    ]


def test_parquet_attributes_keep_their_types_and_nan_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    table = {
        "id": [1.0, 2.0],
        "text": ["x", "y"],
        "price": [1.5, float("nan")],
        "stock": [3, None],
        "cost": [Decimal("0.99"), None],
        "made": [dt.date(2026, 3, 1), None],
        "tags": [["new", "sale"], None],
        "costs": [[Decimal("0.99"), Decimal("1.25")], None],
        "when": [dt.datetime(2026, 3, 1, 9, 30), None],
    }
    pq.write_table(pa.table(table), path)
    attributes = ("price", "stock", "cost", "made", "tags", "costs")

    assert items(path, attributes=attributes, timestamp_field="when", collection="shop") == [
        {
            "id": "1",
            "collection": "shop",
            "text": "x",
            "attributes": {
                "price": 1.5,
                "stock": 3,
                "cost": 0.99,
                "made": "2026-03-01",
                "tags": ["new", "sale"],
                "costs": [0.99, 1.25],
            },
            "timestamp": "2026-03-01T09:30:00+00:00",
        },
        {"id": "2", "collection": "shop", "text": "y"},
    ]


# --- timestamps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "timestamp"),
    [
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00+00:00"),
        ("2026-03-01 09:30:00+02:00", "2026-03-01T09:30:00+02:00"),
        ("2026-03-01 09:30", "2026-03-01T09:30:00+00:00"),
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("1291191960", "2010-12-01T08:26:00+00:00"),
        ("1291191960000", "2010-12-01T08:26:00+00:00"),
    ],
)
def test_timestamps_get_an_offset(tmp_path: Path, cell: str, timestamp: str) -> None:
    path = csv_file(tmp_path, f"id,text,when\n1,x,{cell}\n2,y,\n")

    assert items(path, timestamp_field="when") == [
        {"id": "1", "text": "x", "timestamp": timestamp},
        {"id": "2", "text": "y"},
    ]


def test_what_is_no_date_costs_the_date_and_not_the_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,text,when\n1,x,yesterday\n2,y,0000-00-00 00:00:00\n3,z,1970-01-01\n")
    with open_records(path) as reader:
        mapping = resolve_mapping(reader, MappingOptions(timestamp_field="when"))
        found = [mapping.read(row) for row in reader if isinstance(row, Row)]
    assert [item for item, _ in found] == [
        {"id": "1", "text": "x"},
        {"id": "2", "text": "y"},
        {"id": "3", "text": "z", "timestamp": "1970-01-01T00:00:00+00:00"},
    ]
    assert [[remark.kind for remark in remarks] for _, remarks in found] == [["bad_date"], [], ["empty_date"]]
    assert found[0][1][0].text == "column 'when': not a date; the item has none"


# --- options that do not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"id_field": "nope"}, {"text_fields": ("text", "nope")}, {"attributes": ("nope",)}, {"timestamp_field": "nope"}],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no column 'nope'; there are 'id', 'text'"):
        notes(csv_file(tmp_path, "id,text\n1,x\n"), **options)


def test_more_than_an_item_may_have(tmp_path: Path) -> None:
    columns = tuple(f"c{number}" for number in range(65))
    path = csv_file(tmp_path, f"{','.join(columns)}\n")
    with pytest.raises(ConfigurationError, match="17 text columns, but an item has at most 16"):
        notes(path, text_fields=columns[:17])
    with pytest.raises(ConfigurationError, match="65 attributes, but an item has at most 64"):
        notes(path, attributes=columns)
    long = "n" * 65
    with pytest.raises(ConfigurationError, match=f"longer than 64 characters: column '{long}'"):
        notes(csv_file(tmp_path, f"id,{long}\n"), attributes=(long,))


# --- anything at all -----------------------------------------------------------------------------------------------

cells = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.lists(st.text(max_size=3))


@given(values=st.fixed_dictionaries({"id": cells, "text": cells, "a": cells, "when": cells}), parsed=st.booleans())
def test_every_row_gives_an_item_that_is_json_or_a_bad_row(values: dict[str, Any], parsed: bool) -> None:
    if parsed:
        values = {name: value if isinstance(value, str) else "" for name, value in values.items()}
    mapping = ItemMapping(
        id_field="id", text_fields=("text",), attributes=("a",), timestamp_field="when", parse_attributes=parsed
    )
    data = mapping.item(Row(1, values))
    assert isinstance(data, BadRow) or json.loads(json.dumps(data, allow_nan=False)) == data


# --- real files ----------------------------------------------------------------------------------------------------


@pytest.mark.quality
@pytest.mark.parametrize(
    ("name", "rows", "options", "expected"),
    [
        ("product_abt_buy/left.csv.gz", 1076, {}, ("id: column 'id'", "text: column 'name', 'description'")),
        ("neardup_mccormick/articles_1000.csv.gz", 1000, {}, ("id: column 'id'", "text: column 'text'")),
        (
            "rec_online_retail/items.csv.gz",
            3791,
            {"id_field": "stock_code", "attributes": ("median_price_gbp",)},
            ("text: column 'description'",),
        ),
    ],
)
def test_real_catalogues(name: str, rows: int, options: dict[str, Any], expected: tuple[str, ...]) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real data is absent: {path.name}; set RECOMMENDER_TEST_DATA")
    assert notes(path, **options)[: len(expected)] == expected
    found = items(path, **options)
    assert len(found) == rows
    assert not [data for data in found if isinstance(data, BadRow)]
