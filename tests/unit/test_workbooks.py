"""Workbooks: the cells of a sheet are rows, and what is written is a workbook with the same cells."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from celery_recommender.records import BadRow, Fault, ReadOptions, Row, open_records, open_writer
from recommender_engine.errors import ConfigurationError

HEADER = ("id", "title", "made", "price", "sold")
ROWS = [
    (1001, "Oak desk", dt.date(2025, 3, 10), 199.9, True),
    ("0042", "=SUM(1)", dt.datetime(2025, 3, 10, 14, 30), 5, False),
    (1003, "two\nlines", None, None, None),
]


def book(tmp_path: Path, *rows: tuple[Any, ...], title: str = "Items", name: str = "items.xlsx") -> Path:
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
        for cell in sheet[sheet.max_row]:
            if isinstance(cell.value, str):
                cell.data_type = "s"
    path = tmp_path / name
    made.save(path)
    return path


def read(path: Path, sheet: str | None = None) -> list[Row | BadRow]:
    with open_records(path, options=ReadOptions(sheet=sheet)) as reader:
        return list(reader)


def test_cells_have_types(tmp_path: Path) -> None:
    rows = read(book(tmp_path, HEADER, *ROWS))
    assert [tuple(row.values.values()) for row in rows] == ROWS
    assert [type(row.values["id"]) for row in rows] == [int, str, int]


def test_a_title_and_empty_rows_are_no_items(tmp_path: Path) -> None:
    rows = read(book(tmp_path, ("Report of March",), (), ("id", "title", "note"), (1, "a", "x"), (), (2, "b", "y"), ()))
    assert [row.values for row in rows] == [{"id": 1, "title": "a", "note": "x"}, {"id": 2, "title": "b", "note": "y"}]


def test_what_does_not_fit_is_reported_with_its_cells(tmp_path: Path) -> None:
    rows = read(book(tmp_path, ("id", "title"), (1, "a"), (2, "b", "c"), ("id", "title"), (3,)))
    assert [(row.number, row.kind) for row in rows if isinstance(row, BadRow)] == [
        (2, Fault.COLUMNS),
        (3, Fault.HEADER),
    ]
    assert dict(rows[1].values) == {"id": 2, "title": "b, c"}
    assert rows[3] == Row(4, {"id": 3, "title": None})


def test_sheets_by_name_and_number(tmp_path: Path) -> None:
    path = book(tmp_path, ("id",), (1,), title="First")
    made = openpyxl.load_workbook(path)
    made.create_sheet("Second").append(("id",))
    made["Second"].append((2,))
    made["First"].sheet_state = "hidden"
    made.save(path)
    assert [read(path, sheet)[0].values["id"] for sheet in (None, "First", "1", "2")] == [2, 1, 1, 2]
    with pytest.raises(ConfigurationError, match="has no sheet 'Third'; there are 'First', 'Second'"):
        read(path, "Third")


def test_what_is_written_has_the_cells_of_what_was_read(tmp_path: Path) -> None:
    path, out = book(tmp_path, HEADER, *ROWS), tmp_path / "out.xlsx"
    with open_records(path) as reader, open_writer(out, reader.columns, ("ids", "far"), like=reader.dialect) as writer:
        for row in reader:
            writer.write({**row.values, "ids": ["a", "b"], "far": 2**60})
    again = read(out)
    assert [tuple(row.values.values())[:5] for row in again] == ROWS
    assert [tuple(row.values.values())[5:] for row in again] == [('["a", "b"]', str(2**60))] * 3
    assert openpyxl.load_workbook(out).sheetnames == ["Items"]


def test_formulas_in_texts_are_texts_in_a_workbook(tmp_path: Path) -> None:
    said = {"=1+1": "=cmd|' /C x'!A0", "id": "+49 30", "duplicate_of": "@SUM(A1)", "similar_ids": "-1+2"}
    book_out, text_out = tmp_path / "out.xlsx", tmp_path / "out.csv"
    for out in (book_out, text_out):
        with open_writer(out, ("=1+1", "id"), ("duplicate_of", "similar_ids")) as writer:
            writer.write(said)
    cells = [cell for row in openpyxl.load_workbook(book_out).active.iter_rows() for cell in row]
    assert [(cell.value, cell.data_type) for cell in cells] == [(text, "s") for text in [*said, *said.values()]]
    assert text_out.read_text().splitlines() == [",".join(said), ",".join(said.values())]  # as they are: ADR 25


def test_no_temporary_file_is_left_when_writing_fails(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigurationError, match="a cell of a workbook holds 32,767")
    with refused, open_writer(tmp_path / "out.xlsx", ("id",)) as writer:
        writer.write({"id": "x" * 40_000})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"id,text\n1,a\n", b"\xd0\xcf\x11\xe0 old", b"PK\x03\x04 torn", b""])
def test_a_file_that_is_no_workbook_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "items.xlsx"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="no workbook"):
        open_records(path)


def test_an_empty_sheet_has_no_rows(tmp_path: Path) -> None:
    assert read(book(tmp_path)) == []
