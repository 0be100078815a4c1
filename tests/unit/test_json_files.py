"""JSON as people's programs write it: on lines, in lists, spread over lines; every value is read or reported."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.records import UNREADABLE, BadRow, Fault, Row, open_records, open_writer, scan_columns
from recommender_engine.errors import ConfigurationError

ROWS = [{"id": 1, "text": "a, [b] {c}", "more": {"x": [1, {"y": '"'}]}}, {"id": 2, "text": "ü 🚚 \\"}, {"id": 3}]


def file(tmp_path: Path, text: str, name: str = "items.json") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def read(path: Path) -> list[Row | BadRow]:
    with open_records(path) as reader:
        return list(reader)


def values(path: Path) -> list[dict[str, Any]]:
    rows = read(path)
    assert not [row for row in rows if isinstance(row, BadRow)], rows
    return [dict(row.values) for row in rows]


LAYOUTS = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "crlf": "\r\n".join(map(json.dumps, ROWS)) + "\r\n",
    "array": json.dumps(ROWS),
    "array of lines": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "comma first": "[\n " + "\n, ".join(map(json.dumps, ROWS)) + "\n]\n",
    "trailing comma": "[\n" + ",\n".join(map(json.dumps, ROWS)) + ",\n]\n",
    "pretty array": json.dumps(ROWS, indent=2),
    "pretty objects": "\n".join(json.dumps(row, indent=4) for row in ROWS),
    "objects without anything between": "".join(json.dumps(row, indent=1) for row in ROWS),
    "lines with commas": ",\n".join(map(json.dumps, ROWS)) + ",\n",
    "wrapped": json.dumps({"total": 3, "next": None, "items": ROWS, "page": {"items": []}}),
    "wrapped and pretty": json.dumps({"meta": {"n": [1]}, "results": ROWS, "more": [{"id": 9}]}, indent=2),
    "with a mark": "\ufeff" + json.dumps(ROWS, indent=2),
    "not ASCII": json.dumps(ROWS, ensure_ascii=False, indent=2),
}


@pytest.mark.parametrize("name", ["items.json", "items.jsonl", "items.json.gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_objects_are_found_however_they_are_laid_out(tmp_path: Path, layout: str, name: str) -> None:
    path = tmp_path / name
    data = LAYOUTS[layout].encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert values(path) == ROWS
    assert scan_columns(path) == ("id", "text", "more")


def test_a_list_inside_of_each_object_is_no_wrapper(tmp_path: Path) -> None:
    rows = [{"id": 1, "items": [{"n": 1}]}, {"id": 2, "items": [{"n": 2}]}]
    assert values(file(tmp_path, "\n".join(map(json.dumps, rows)))) == rows


@pytest.mark.parametrize(
    "broken",
    [
        '{"id": 2, "text": "x",}',
        '{"id": 2, "text": "x}',
        '{"id": 2, "text": [1, 2}',
        '{"id": 2 "text": 1}',
        "7",
    ],
)
@pytest.mark.parametrize("layout", ["[\n%s\n]", "%s\n"])
def test_a_broken_value_costs_itself_only(tmp_path: Path, broken: str, layout: str) -> None:
    lines = ['{"id": 1}', broken, '{"id": 3}', '{"id": 4}']
    array = layout.startswith("[")
    rows = read(file(tmp_path, layout % (",\n" if array else "\n").join(lines)))
    good = [row.values["id"] for row in rows if isinstance(row, Row)]
    assert good == [1, 3, 4]
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert {row.kind for row in bad} == {Fault.JSON}
    assert "".join(str(row.values[UNREADABLE]) for row in bad).strip(",") == broken


@pytest.mark.parametrize("indent", [None, 0, 1, 4])
@pytest.mark.parametrize("broken", [0, 1, 8, 9])
def test_an_object_without_an_end_does_not_swallow_the_next(tmp_path: Path, broken: int, indent: int | None) -> None:
    values = [{"id": number, "more": {"a": [{"b": 1}]}, "z": 2} for number in range(10)]
    texts = [json.dumps([value], indent=indent)[1:-1] for value in values]
    texts[broken] = texts[broken].rstrip().removesuffix("}").rstrip()
    rows = read(file(tmp_path, f"[{','.join(texts)}]"))
    good = [row.values["id"] for row in rows if isinstance(row, Row)]
    assert good == [number for number in range(10) if number != broken]
    assert len(rows) == 10


def test_repeated_keys_are_reported_with_all_their_values(tmp_path: Path) -> None:
    (row,) = read(file(tmp_path, '{"id": 1, "text": "a", "text": "b"}\n'))
    assert isinstance(row, BadRow)
    assert "a key stands twice" in row.error
    assert dict(row.values) == {"id": 1, "text [1]": "a", "text [2]": "b"}


def test_half_of_a_surrogate_pair_is_reported_and_can_be_written(tmp_path: Path) -> None:
    (row,) = read(file(tmp_path, '{"id": 1, "text": "\\ud83d"}\n'))
    assert isinstance(row, BadRow)
    assert dict(row.values) == {"id": 1, "text": "\\ud83d"}


def test_numbers_keep_what_they_say(tmp_path: Path) -> None:
    path = file(tmp_path, '{"a": 12345678901234567890123, "b": 9007199254740993.0, "c": 1e400, "d": NaN, "e": 0.1}\n')
    (row,) = values(path)
    assert row == {"a": 12345678901234567890123, "b": Decimal("9007199254740993.0"), "c": "1e400", "d": None, "e": 0.1}


@pytest.mark.parametrize(
    "content",
    [
        '{"id": 1}\n{"id": 2}\n',
        '[\n{"id": 1},\n{"id": 2}\n]\n',
        '{"items": [\n{"id": 1},\n{"id": 2}\n]}\n',
        '[\r\n{"id": 1},\r\n{"id": "ü"}\r\n]\r\n',
    ],
)
def test_what_is_written_is_laid_out_as_what_was_read(tmp_path: Path, content: str) -> None:
    path, out = file(tmp_path, content), tmp_path / "out.json"
    with open_records(path) as reader, open_writer(out, (), like=reader.dialect) as writer:
        for row in reader:
            writer.write(row.values)
    assert out.read_bytes().decode() == content


def test_a_json_file_without_an_example_is_a_list(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with open_writer(out, ()) as writer:
        writer.write({"id": 1})
    assert json.loads(out.read_text()) == [{"id": 1}]
    with open_writer(out, ()):
        pass
    assert json.loads(out.read_text()) == []


def test_a_list_on_one_line_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "items.json.gz"
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.write("[" + ",".join(json.dumps({"id": n, "text": "x" * 1000}) for n in range(40_000)) + "]")
    tracemalloc.start()
    with open_records(path) as reader:
        assert sum(isinstance(row, Row) for row in reader) == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"data": {"items": ROWS, "users": [{"n": 1}, {"n": 2}]}}, "'data.items'"),
        ({"title": "Oak desk", "sizes": [{"n": 1}, {"n": 2}]}, "'sizes'"),
        ({"sku": "A-1", "sizes": [{"n": 1}, {"n": 2}]}, "'sizes'"),
        ({"id": [1, 2], "text": ["a", "b"]}, "its keys, as one list for each column"),
        ({"columns": ["id", "text"], "index": [0, 1], "data": [[1, "a"], [2, "b"]]}, "'data'"),
        ({"id": {"0": 1, "1": 2}, "text": {"0": "a", "1": "b"}}, "its keys"),
        ({"1": {"text": "a"}, "2": {"text": "b"}}, "its keys"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_nested_rows_are_reported_and_not_read_as_one(
    tmp_path: Path, value: dict[str, Any], where: str, indent: int | None
) -> None:
    path = file(tmp_path, json.dumps(value, indent=indent))
    with pytest.raises(ConfigurationError, match=f"its rows under {where}"):
        read(path)
    with open_records(path, "jsonl") as reader:
        assert len(list(reader)) == 1


@pytest.mark.parametrize(
    "rows", [[{"id": 1, "variants": [{"a": 1}, {"a": 2}]}], [{"parts": [{"a": 1}, {"a": 2}]}] * 2, [{"text": "a"}]]
)
def test_a_row_may_hold_lists_of_objects(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    assert values(file(tmp_path, "\n".join(map(json.dumps, rows)))) == rows


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"data": {"items": ROWS}}, "data.items"),
        ({"status": "ok", "message": "Here they are", "payload": {"tickets": ROWS}}, "payload.tickets"),
        (
            {"meta": {"n": 3, "errors": []}, "answer": {"page": {"docs": ROWS}}, "debug": {"x": [1]}},
            "answer.page.docs",
        ),
        ({"took": 5, "hits": {"total": 2, "hits": ROWS}}, "hits.hits"),
        ({"type": "FeatureCollection", "features": ROWS}, "features"),
        ({"produkte": ROWS[:1]}, "produkte"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_only_list_of_objects_is_read_and_reported(
    tmp_path: Path, value: dict[str, Any], where: str, indent: int | None
) -> None:
    path = file(tmp_path, json.dumps(value, indent=indent))
    rows = values(path)
    assert rows == ROWS[: len(rows)]
    with open_records(path) as reader:
        dialect = reader.dialect
        assert f"the list under {where!r}" in dialect.describe()
        assert len(list(reader)) == len(rows)
    out = tmp_path / "out.json"
    with open_writer(out, ("id",), like=dialect) as writer:
        for row in rows:
            writer.write(row)
    assert values(out) == rows
    inner = json.loads(out.read_text())
    for name in where.split("."):
        inner = inner[name]
    assert inner == rows


def test_pages_behind_the_first_are_reported(tmp_path: Path) -> None:
    pages = "\n".join(json.dumps({"rows": [row], "more": {"x": ["]}"]}}, indent=1) for row in ROWS)
    first, *others = read(file(tmp_path, pages))
    assert isinstance(first, Row)
    assert len(others) == 2
    assert all(isinstance(row, BadRow) and "behind the object with the rows" in row.error for row in others)


@pytest.mark.parametrize("inner", ['"' + "x " * 500 + '"', "[" + "[1]," * 250 + "2]", '{"a": ' * 90 + "1" + "}" * 90])
def test_a_value_that_is_too_long_costs_itself_only(
    tmp_path: Path, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_recommender.records.json.values.MAX_LINE_CHARS", 200)
    monkeypatch.setattr("celery_recommender.records.json.values._CHUNK_CHARS", 64)
    monkeypatch.setattr("celery_recommender.records.json.values._LOOK_BACK_CHARS", 16)
    rows = read(file(tmp_path, f'[{{"id": 1}}, {{"id": 2, "x": {inner}, "y": "\\""}}, {{"id": 3}}]'))
    assert [(row.number, row.values.get("id")) for row in rows] == [(1, 1), (2, None), (3, 3)]
    assert rows[1].values[UNREADABLE].startswith('{"id": 2, "x": ')


def test_a_sequence_with_record_separators_is_read(tmp_path: Path) -> None:
    assert values(file(tmp_path, "".join(f"\x1e{json.dumps(row)}\n" for row in ROWS), "items.jsonl")) == ROWS
