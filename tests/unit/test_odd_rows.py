"""Rows of a table that are no records are reported; cells that a program has wrapped say what they stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.records import (
    BadRow,
    Fault,
    Items,
    MappingOptions,
    OnRepeat,
    Row,
    open_records,
    open_writer,
    resolve_mapping,
)


def file(tmp_path: Path, text: str, name: str = "items.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def read(path: Path) -> list[Row | BadRow]:
    with open_records(path) as reader:
        return list(reader)


def items(path: Path, **options: Any) -> list[dict[str, Any] | BadRow]:
    with open_records(path) as reader:
        mapping = resolve_mapping(reader, MappingOptions(**options))
        return [mapping.item(row) if isinstance(row, Row) else row for row in reader]


TABLE = "1,Oak desk,solid oak,12.5,199.00\n2,Pine desk,light pine,10.0,99.00\n"


@pytest.mark.parametrize(
    "below",
    [",,,kg,EUR", "-,-,-,[kg],[EUR]", "(text),(text),(text),(kg),(€)", "int,string,varchar(80),float,decimal(10)"],
)
@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_units_below_the_names_are_reported_and_no_item(tmp_path: Path, below: str, ending: str) -> None:
    path = file(tmp_path, f"id,title,note,weight,price\n{below}\n{TABLE}")
    if ending == ".xlsx":
        cells = [row.values for row in read(path)]
        path = tmp_path / "items.xlsx"
        with open_writer(path, tuple(cells[0])) as writer:
            for row in cells:
                writer.write(row)
    first, *others = read(path)
    assert isinstance(first, BadRow)
    assert (first.kind, len(others)) == (Fault.HEADER, 2)
    assert "units or types" in first.error
    assert all(isinstance(row, Row) for row in others)


@pytest.mark.parametrize("first", ["1,kg,unit of weight,,", "m,text,string of pearls,,", "1,,,,EUR"])
def test_a_first_row_that_says_something_is_a_row(tmp_path: Path, first: str) -> None:
    assert all(isinstance(row, Row) for row in read(file(tmp_path, f"id,title,note,weight,price\n{first}\n{TABLE}")))


@pytest.mark.parametrize("last", ["Total,,,22.5,298.00", ",,Grand total,,298", ",,,Summe:,298", "Итого,,,,298"])
def test_totals_are_reported_and_no_item(tmp_path: Path, last: str) -> None:
    *rows, total = read(file(tmp_path, f"id,title,note,weight,price\n{TABLE}{last}\n"))
    assert all(isinstance(row, Row) for row in rows)
    assert isinstance(total, BadRow)
    assert (total.kind, total.number) == (Fault.TOTALS, 3)


@pytest.mark.parametrize("row", ["9,Total,,,5", "Total,recall,of a film,,5", "Total,,,,", "9,Total,motor oil,1.0,5"])
def test_a_row_that_only_has_the_word_is_a_row(tmp_path: Path, row: str) -> None:
    assert all(isinstance(one, Row) for one in read(file(tmp_path, f"id,title,note,weight,price\n{TABLE}{row}\n")))


@pytest.mark.parametrize(
    "last", ['"Grand Total: 6,634",,,,', "Total: 2 rows,,,,", ",(2 rows affected),,,", "Page -1 of 1,,,,"]
)
def test_lines_about_the_table_are_reported_and_no_item(tmp_path: Path, last: str) -> None:
    *rows, below = read(file(tmp_path, f"id,title,note,weight,price\n{TABLE}{last}\n"))
    assert all(isinstance(row, Row) for row in rows)
    assert isinstance(below, BadRow)
    assert below.kind == Fault.TOTALS


def test_a_report_with_its_name_in_a_row_above_the_names(tmp_path: Path) -> None:
    path = file(tmp_path, f"Report_B,3/13/2015,,,\nid,title,note,weight,price\n{TABLE}")
    assert items(path)[0]["id"] == "1"


def test_names_of_groups_above_the_names_are_left_out(tmp_path: Path) -> None:
    path = file(tmp_path, f"Product,,,Numbers,\nid,title,description,weight,price\n{TABLE}")
    assert items(path)[0] == {"id": "1", "fields": {"title": "Oak desk", "description": "solid oak"}}
    with open_records(path) as reader:
        assert "1 line above the header left out" in reader.dialect.describe()


def test_a_table_with_nothing_before_the_first_tab(tmp_path: Path) -> None:
    text = (
        "Table: MARA\n\n\tMATNR\tMAKTX\tPREIS\n\n\t0100\tOak desk, solid\t1.234,50\n\t0200\tPine desk, light\t99,00\n"
    )
    found = items(file(tmp_path, text, "items.txt"), attributes=("PREIS",))
    assert found[0] == {"id": "0100", "text": "Oak desk, solid", "attributes": {"PREIS": 1234.5}}


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_what_ends_a_copy_is_no_row(tmp_path: Path, delimiter: str) -> None:
    lines = ["id,title,note", "1,Oak desk,solid", "2,Pine desk,\\N"]
    text = "".join(line.replace(",", delimiter) + "\n" for line in lines)
    path = file(tmp_path, f"{text}\\.\n\n", "items.tsv")
    assert [row.values["id"] for row in read(path)] == ["1", "2"]
    third = "3,Elm desk,old".replace(",", delimiter)
    one, two, end, three = read(file(tmp_path, f"{text}\\.\n{third}\n", "items.tsv"))
    assert isinstance(end, BadRow)
    assert end.kind == Fault.COLUMNS
    assert [row.values["id"] for row in (one, two, end, three)] == ["1", "2", "\\.", "3"]


def test_a_file_without_nulls_gets_none(tmp_path: Path) -> None:
    rows = ['1,"12\\" pipe","a \\"good\\" pipe"', '2,"oak","plain, and simple"', "3,pine,"]
    written = alike(tmp_path, "\n".join(["id,title,note", *rows, ""]))
    assert "\\N" not in written
    assert written.splitlines()[3] == "3,pine,,"
    assert alike(tmp_path, "\n".join(["id,title,note", *rows, "4,\\N,\\N", ""])).splitlines()[4] == "4,\\N,\\N,\\N"


def alike(tmp_path: Path, text: str) -> str:
    path, out = file(tmp_path, text), tmp_path / "out.csv"
    with open_records(path) as reader, open_writer(out, reader.columns, ("band",), like=reader.dialect) as writer:
        for row in reader:
            writer.write({**row.values, "band": None})
    return out.read_text()


def test_extended_json_of_mongodb_is_read_as_what_it_stands_for(tmp_path: Path) -> None:
    lines = [
        {
            "_id": {"$oid": "507f1f77"},
            "title": "Oak desk",
            "at": {"$date": "2025-03-10T14:30:00Z"},
            "views": {"$numberLong": "12"},
            "price": {"$numberDecimal": "12.50"},
        },
        {
            "_id": {"$oid": "507f1f78"},
            "title": "Pine desk",
            "at": {"$date": {"$numberLong": "1741617000000"}},
            "views": {"$numberInt": "3"},
            "price": {"$numberDouble": "9.5"},
        },
    ]
    path = file(tmp_path, "\n".join(map(json.dumps, lines)), "items.jsonl")
    one, two = items(path, timestamp_field="at", attributes=("views", "price"))
    assert one == {
        "id": "507f1f77",
        "text": "Oak desk",
        "attributes": {"views": 12, "price": 12.5},
        "timestamp": "2025-03-10T14:30:00+00:00",
    }
    assert two == {
        "id": "507f1f78",
        "text": "Pine desk",
        "attributes": {"views": 3, "price": 9.5},
        "timestamp": "2025-03-10T14:30:00+00:00",
    }
    assert read(path)[0].values["_id"] == {"$oid": "507f1f77"}  # and written as it stands


def test_formulas_that_keep_zeros_are_read_as_their_texts(tmp_path: Path) -> None:
    path = file(tmp_path, 'id,title,price\n="00123",Oak desk,="12.50"\n"=""00124""","=""Pine """"desk""""""",="9.50"\n')
    with open_records(path) as reader:
        mapping = resolve_mapping(reader, MappingOptions(attributes=("price",)))
        found = [(one.item, [remark.kind for remark in one.remarks]) for one in Items(reader, mapping)]
    assert found == [
        ({"id": "00123", "text": "Oak desk", "attributes": {"price": 12.5}}, ["id_as_formula"]),
        ({"id": "00124", "text": 'Pine "desk"', "attributes": {"price": 9.5}}, ["id_as_formula"]),
    ]
    assert read(path)[0].values["id"] == '="00123"'


@pytest.mark.parametrize("id_", ["[1, 2]", '{"a": 1}', '{"$oid": 1, "b": 2}'])
def test_several_values_are_no_id(tmp_path: Path, id_: str) -> None:
    (bad,) = items(file(tmp_path, f'{{"id": {id_}, "text": "Oak desk"}}\n', "items.jsonl"))
    assert isinstance(bad, BadRow)
    assert "several values, and not one" in bad.error


def test_a_column_that_always_says_the_same_is_a_doubt(tmp_path: Path) -> None:
    rows = "".join(f'{{"kind": "articles of ours", "id": {number}, "more": {{"a": 1}}}}\n' for number in range(3))
    with open_records(file(tmp_path, rows, "items.jsonl")) as reader:
        assert "it is not sure that column 'kind' is the text" in resolve_mapping(reader, MappingOptions()).doubt


class Asked(dict[str, int]):
    """Counts how often it is asked for a key."""

    count = 0

    def __contains__(self, key: object) -> bool:
        self.count += 1
        return super().__contains__(key)


def test_an_id_of_its_own_for_a_repeated_id_is_not_looked_for_from_the_start(tmp_path: Path) -> None:
    with open_records(file(tmp_path, "id,text\n1-3,Pine desk\n" + "1,Oak desk\n" * 100)) as reader:
        rows = Items(reader, resolve_mapping(reader, MappingOptions()), OnRepeat.SUFFIX)
        rows._seen = seen = Asked()
        ids = [one.item["id"] for one in rows if isinstance(one.item, dict)]
    assert ids[:4] == ["1-3", "1", "1-2", "1-4"]
    assert len(set(ids)) == 101
    assert seen.count <= 101
