"""Record files: what is written comes back, and what is broken costs one row."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import random
import resource
import stat
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celery_recommender.records import (
    BadRow,
    Fault,
    Progress,
    RecordFormat,
    Row,
    open_records,
    open_writer,
    scan_columns,
)
from celery_recommender.records import parquet as parquet_module
from recommender_engine.errors import ConfigurationError

TEXT_ENDINGS = (".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz")
ENDINGS = (*TEXT_ENDINGS, ".parquet")

STRAY = "a quote that is not closed, or with text behind it"


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path | str, file_format: str | None = None, start_after: int = 0) -> list[Row | BadRow]:
    with open_records(path, file_format, start_after=start_after) as reader:
        return list(reader)


def read_values(path: Path) -> list[dict[str, Any]]:
    records = read(path)
    assert not [record for record in records if isinstance(record, BadRow)]
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    return [record.values for record in records if isinstance(record, Row)]


def write(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...], added: tuple[str, ...] = ()) -> Path:
    with open_writer(path, columns, added) as writer:
        for row in rows:
            writer.write(row)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def no_file_longer_than(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to write on, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- round trips ---------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1, max_size=8)
numbers = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
column_types = (
    texts,
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(texts, max_size=3),
    st.fixed_dictionaries({"a": texts, "b": st.integers(0, 9)}),
    st.datetimes(timezones=st.just(dt.UTC)),
)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def text_tables(draw: st.DrawFn) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    columns = tuple(
        draw(st.lists(names.filter(lambda name: name == name.strip()), min_size=1, max_size=4, unique=True))
    )
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, texts)), max_size=5))
    # Nothing but delimiters at the end is no row, and the header row once more is none either.
    rows = [row for row in rows if len(row) == 1 or (any(row.values()) and tuple(row.values()) != columns)]
    return columns, rows


@st.composite
def typed_tables(draw: st.DrawFn) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    columns = tuple(draw(st.lists(names, min_size=1, max_size=4, unique=True)))
    row = {name: st.none() | draw(st.sampled_from(column_types)) for name in columns}
    return columns, draw(st.lists(st.fixed_dictionaries(row), max_size=5))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
@given(table=text_tables())
@many
def test_delimited_text_comes_back(tmp_path: Path, ending: str, table: tuple[Any, Any]) -> None:
    columns, rows = table
    path = write(tmp_path / f"table{ending}", rows, columns)

    assert read_values(path) == rows
    assert scan_columns(path) == columns


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
@given(rows=st.lists(st.dictionaries(texts, json_values, max_size=4), max_size=5))
@many
def test_json_values_come_back(tmp_path: Path, ending: str, rows: list[dict[str, Any]]) -> None:
    assert read_values(write(tmp_path / f"table{ending}", rows, ())) == rows


@given(table=typed_tables(), chunk=st.integers(1, 3))
@many
def test_parquet_values_come_back(tmp_path: Path, table: tuple[Any, Any], chunk: int) -> None:
    columns, rows = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_module, "WRITE_CHUNK_ROWS", chunk)
        path = write(tmp_path / "table.parquet", rows, columns)

    assert read_values(path) == rows
    assert scan_columns(path) == columns


@given(rows=st.lists(st.fixed_dictionaries({"v": json_values}), min_size=1, max_size=8), chunk=st.integers(1, 3))
@many
def test_parquet_takes_any_mixture_and_loses_no_row(tmp_path: Path, rows: list[dict[str, Any]], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_module, "WRITE_CHUNK_ROWS", chunk)
        path = write(tmp_path / "table.parquet", rows, ("v",))

    found = read_values(path)
    assert [row["v"] is None for row in found] == [row["v"] is None for row in rows]


# --- reading what others wrote -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_csv_dialects(tmp_path: Path, ending: str, mark: bytes, end: bytes) -> None:
    lines = [b"id,text", '1,"two\nlines, ""quoted"" 🚚"'.encode(), b"", b"2,plain"]
    path = write_bytes(tmp_path / f"items{ending}", mark + end.join(lines))

    assert read_values(path) == [{"id": "1", "text": 'two\nlines, "quoted" 🚚'}, {"id": "2", "text": "plain"}]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_json_lines_dialects(tmp_path: Path, mark: bytes, end: bytes) -> None:
    lines = ['{"id": 1, "text": "🚚 \u2028 \\ud83d\\ude9a"}'.encode(), b"  ", b'{"id": 2, "price": 1.5}']
    path = write_bytes(tmp_path / "items.jsonl", mark + end.join(lines))

    assert read_values(path) == [{"id": 1, "text": "🚚 \u2028 🚚"}, {"id": 2, "price": 1.5}]


@pytest.mark.parametrize("ending", TEXT_ENDINGS)
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"], ids=["empty", "only-bom", "blank-lines"])
def test_a_file_without_anything_has_no_rows(tmp_path: Path, ending: str, content: bytes) -> None:
    path = write_bytes(tmp_path / f"items{ending}", content)
    with open_records(path) as reader:
        assert (list(reader), reader.columns, reader.first) == ([], (), None)


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("id;title, short;price\n7;Lamp;1,50\n", ("id", "title, short", "price"), ("7", "Lamp", "1,50")),
        ("id\ttext\n7\ta, b\n", ("id", "text"), ("7", "a, b")),
        ("id|text\n7|a\n", ("id", "text"), ("7", "a")),
        ("\n\nid;text\n7;a\n", ("id", "text"), ("7", "a")),
        ('"a;b;c",d\n1,2\n', ("a;b;c", "d"), ("1", "2")),
        ('"a\n;b;c",d\n1,2\n', ("a\n;b;c", "d"), ("1", "2")),
        ("a;b,c\n1,2\n", ("a;b", "c"), ("1", "2")),
    ],
)
def test_a_csv_file_is_separated_by_what_its_header_has_most_of(
    tmp_path: Path, text: str, columns: tuple[str, ...], row: tuple[str, ...]
) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with open_records(path) as reader:
        assert reader.columns == columns
        assert [tuple(one.values.values()) for one in reader if isinstance(one, Row)] == [row]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_header_alone_has_columns_and_no_rows(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"items{ending}", [], ("id", "text"))
    with open_records(path) as reader:
        assert (list(reader), reader.columns, reader.first) == ([], ("id", "text"), None)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_field_of_one_megabyte(tmp_path: Path, ending: str) -> None:
    rows = [{"id": "1", "text": "é" * 1_000_000}, {"id": "2", "text": "short"}]

    assert read_values(write(tmp_path / f"items{ending}", rows, ("id", "text"))) == rows


def test_gzip_is_recognised_whatever_the_name_says(tmp_path: Path) -> None:
    zipped = tmp_path / "items.csv"
    zipped.write_bytes(gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"))
    plain = tmp_path / "items.csv.gz"
    plain.write_bytes(b"id\n1\n2\n")

    assert read_values(zipped) == read_values(plain) == [{"id": "1"}, {"id": "2"}]


def test_a_named_format_goes_before_the_name_of_the_file(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "items.csv", b'{"id": 1}\n')

    assert read(path, "JSONL") == [Row(1, {"id": 1})]


# --- rows that cannot be read --------------------------------------------------------------------------------------


def test_bad_csv_rows_cost_themselves_only(tmp_path: Path) -> None:
    lines = [b"id,text", b"1,good", b"2", b"3,a,b", b'4,"torn" quote', b'5,"good"']
    path = write_bytes(tmp_path / "items.csv", b"\n".join(lines))

    assert read(path) == [
        Row(1, {"id": "1", "text": "good"}),
        BadRow(2, "line 3: 1 columns where the header has 2", Fault.COLUMNS),
        BadRow(3, "line 4: 3 columns where the header has 2", Fault.COLUMNS),
        BadRow(4, f"line 5: {STRAY}", Fault.QUOTE),
        Row(5, {"id": "5", "text": "good"}),
    ]


def test_a_quote_that_never_closes_is_reported(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "items.csv", b'id,text\n1,good\n2,"open\n3,swallowed\n')

    assert read(path) == [
        Row(1, {"id": "1", "text": "good"}),
        BadRow(2, f"line 3: {STRAY}", Fault.QUOTE),
        Row(3, {"id": "3", "text": "swallowed"}),
    ]


def test_bad_json_lines_cost_themselves_only(tmp_path: Path) -> None:
    lines = [
        b'{"id": 1}',
        b"[1, 2]",
        b'{"id": ',
        b'{"text": ',
        b'{"text": "\\uD83D"}',
        b"[" * 100_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"id": 8}',
    ]
    records = read(write_bytes(tmp_path / "items.jsonl", b"\n".join(lines)))

    assert [record.number for record in records] == list(range(1, 9))
    assert [type(record) for record in records] == [Row, *[BadRow] * 6, Row]
    errors = [record.error for record in records if isinstance(record, BadRow)]
    assert errors[0] == "line 2: not a JSON object"
    assert errors[1].startswith("line 3: Expecting value")
    assert errors[2].startswith("line 4: Expecting value")
    assert errors[3] == "line 5: holds half of a surrogate pair"
    assert errors[4].startswith("line 6: maximum recursion depth")
    assert errors[5].startswith("line 7: Exceeds the limit")


def test_parquet_text_that_is_not_utf8_costs_one_row(tmp_path: Path) -> None:
    column = pa.array([b"good", b"caf\xe9", None, b"also good"], pa.binary()).view(pa.string())
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"text": column}), path)

    assert read(path) == [
        Row(1, {"text": "good"}),
        BadRow(2, "column 'text' is not UTF-8", Fault.VALUE),
        Row(3, {"text": None}),
        Row(4, {"text": "also good"}),
    ]


@pytest.mark.parametrize(("ending", "head", "tail"), [(".csv", b"id\n", b"\n2\n"), (".jsonl", b"", b'\n{"id": 2}\n')])
def test_a_line_without_end_is_skipped_in_bounded_memory(tmp_path: Path, ending: str, head: bytes, tail: bytes) -> None:
    path = tmp_path / f"items{ending}.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(80):
            file.write(b"x" * 2**20)
        file.write(tail)

    tracemalloc.start()
    records = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert isinstance(records[0], BadRow)
    assert "longer than 16777216 characters" in records[0].error
    assert [record.number for record in records] == [1, 2]
    assert isinstance(records[1], Row)
    assert peak < 60 * 2**20  # of a line of 80 MiB


# --- going on, progress, standard input ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("after", [0, 1, 299, 300, 1000])
def test_reading_goes_on_after_a_row(tmp_path: Path, ending: str, after: int) -> None:
    rows = [{"id": str(number), "text": f"item {number}"} for number in range(1, 301)]
    path = write(tmp_path / f"items{ending}", rows, ("id", "text"))
    with open_records(path, start_after=after) as reader:
        assert reader.first == Row(1, rows[0])
        assert list(reader) == [Row(number, rows[number - 1]) for number in range(after + 1, 301)]


def test_bad_rows_count_when_going_on(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "items.jsonl", b'broken\n{"id": 2}\n\nbroken\n{"id": 4}\n')

    assert read(path, start_after=3) == [Row(4, {"id": 4})]
    assert [record.number for record in read(path, start_after=1)] == [2, 3, 4]


@pytest.mark.parametrize("ending", TEXT_ENDINGS)
def test_progress_in_bytes_on_disk(tmp_path: Path, ending: str) -> None:
    rows = [{"id": str(number), "text": os.urandom(50).hex()} for number in range(5000)]
    path = write(tmp_path / f"items{ending}", rows, ("id", "text"))
    size = path.stat().st_size
    with open_records(path) as reader:
        seen = [reader.progress.done for _ in reader]
        assert reader.progress == Progress(size, size, "bytes")
    assert seen == sorted(seen)
    assert 0 < seen[0] < size / 2 < seen[-1]


def test_progress_in_rows_of_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "items.parquet", [{"id": number} for number in range(5)], ("id",))
    with open_records(path) as reader:
        next(reader)
        next(reader)
        assert reader.progress == Progress(2, 5, "rows")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("kind", "data"), [("csv", b"id\n1\n2\n"), ("jsonl", b'{"id": "1"}\n{"id": "2"}\n')])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, kind: str, data: bytes, zipped: bool) -> None:
    pipe = io.TextIOWrapper(io.BytesIO(gzip.compress(data) if zipped else data))
    monkeypatch.setattr(sys, "stdin", pipe)
    with open_records("-", kind) as reader:
        assert reader.stem == "stdin"
        assert reader.progress.total_hint is None
        assert list(reader) == [Row(1, {"id": "1"}), Row(2, {"id": "2"})]
    assert not pipe.buffer.closed


def test_rows_come_out_of_a_pipe_as_they_go_in(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    with os.fdopen(into, "wb", buffering=0) as producer, os.fdopen(out, "r") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        producer.write(b'{"id": 1}\n')
        with open_records("-", "jsonl") as reader:
            assert next(reader) == Row(1, {"id": 1})
            producer.write(b'{"id": 2}\n')
            assert next(reader) == Row(2, {"id": 2})


def test_columns_of_json_lines_are_those_of_the_first_rows_and_can_be_scanned(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": 1}, {"id": 2, "price": 3}, *[{"id": 3}] * 200, {"late": 1}]
    path = write(tmp_path / "items.jsonl", rows, ())
    with open_records(path) as reader:
        assert reader.columns == ("id", "price")
    assert scan_columns(path) == ("id", "price", "late")


# --- Parquet types -------------------------------------------------------------------------------------------------


def test_parquet_of_others(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)
    table = pa.table(
        {
            "name": pa.array(["a", None]).dictionary_encode(),
            "when": pa.array([1_772_357_400_000_000_001, None], pa.timestamp("ns", "UTC")),
            "price": pa.array([Decimal("1.50"), None]),
            "tags": pa.array([["x", "y"], None]),
            "seen": pa.array([moment.date(), None]),
        }
    )
    path = tmp_path / "items.pq"
    pq.write_table(table, path)

    first, second = read_values(path)
    assert first == {"name": "a", "when": moment, "price": Decimal("1.50"), "tags": ["x", "y"], "seen": moment.date()}
    assert set(second.values()) == {None}

    copy = write(tmp_path / "copy.jsonl", [first], ())
    assert json.loads(copy.read_text()) == {
        "name": "a",
        "when": "2026-03-01T09:30:00+00:00",
        "price": 1.5,
        "tags": ["x", "y"],
        "seen": "2026-03-01",
    }
    line = write(tmp_path / "copy.csv", [first], tuple(first)).read_text().splitlines()[1]
    assert line == 'a,2026-03-01T09:30:00+00:00,1.50,"[""x"", ""y""]",2026-03-01'


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([None, None, 1, 2.5], [None, None, 1.0, 2.5]),
        ([None, None, "x", None], [None, None, "x", None]),
        ([1, 2, "x", True], ["1", "2", "x", "true"]),
        ([2**60 + 1, None, 0.5, None], [str(2**60 + 1), None, "0.5", None]),
        ([1, 2**70, 3, 4], ["1", str(2**70), "3", "4"]),
        ([{"a": 1}, None, {"b": "x"}, None], [{"a": 1, "b": None}, None, {"a": None, "b": "x"}, None]),
        ([[1], [], ["x"], None], ["[1]", "[]", '["x"]', None]),
        ([{}, {}, None, {}], ["{}", "{}", None, "{}"]),
        ([b"\xff", None, "x", None], ["/w==", None, "x", None]),
        (["x", None, b"\xff", None], ["x", None, "/w==", None]),
    ],
)
def test_parquet_types_widen_when_later_rows_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any], stored: list[Any]
) -> None:
    monkeypatch.setattr(parquet_module, "WRITE_CHUNK_ROWS", 2)
    path = write(tmp_path / "items.parquet", [{"n": 0, "v": value} for value in values], ("n", "v"))

    found = pq.read_table(path).to_pylist()
    assert [row["v"] for row in found] == stored
    assert {row["n"] for row in found} == {0}
    assert names_in(tmp_path) == ["items.parquet"]


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "celery_recommender.records.parquet")
    monkeypatch.delattr(sys.modules["celery_recommender.records"], "parquet")
    for act in (lambda: open_records(tmp_path / "a.parquet"), lambda: open_writer(tmp_path / "b.parquet", ["id"])):
        with pytest.raises(ConfigurationError, match=r"pip install 'pyarrow>=16'"):
            act()
    assert names_in(tmp_path) == []


# --- writing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_added_columns_come_after_those_of_the_file(tmp_path: Path, ending: str) -> None:
    row = {"z": "1", "a": "2", "band": "new", "similar": ["p", "q"]}
    path = write(tmp_path / f"items{ending}", [row], ("z", "a"), ("band", "similar"))

    assert scan_columns(path) == ("z", "a", "band", "similar")
    similar = '["p", "q"]' if ending.startswith((".csv", ".tsv")) else ["p", "q"]
    assert read_values(path) == [{**row, "similar": similar}]


def test_an_added_column_that_exists_is_overwritten_in_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", [{"band": "new", "id": "1"}], ("band", "id"), ("band",))

    assert path.read_text() == "band,id\nnew,1\n"


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_column_that_was_not_announced_is_refused(tmp_path: Path, ending: str) -> None:
    with (
        pytest.raises(ConfigurationError, match="not among the columns of the output: 'extra'"),
        open_writer(tmp_path / f"items{ending}", ["id"]) as writer,
    ):
        writer.write({"id": 1, "extra": 2})
    assert names_in(tmp_path) == []


def test_missing_values_and_infinities(tmp_path: Path) -> None:
    row = {"a": None, "b": float("nan"), "c": [float("inf"), 1.5, {"d": float("nan")}], "e": True}

    assert write(tmp_path / "items.csv", [row], tuple(row)).read_text() == (
        'a,b,c,e\n,,"[null, 1.5, {""d"": null}]",true\n'
    )
    assert json.loads(write(tmp_path / "items.jsonl", [row], ()).read_text()) == {
        "a": None,
        "b": None,
        "c": [None, 1.5, {"d": None}],
        "e": True,
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_appears_whole_at_the_end(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"items{ending}"
    with open_writer(path, ["id"]) as writer:
        writer.write({"id": "1"})
        assert not path.exists()
    assert read_values(path) == [{"id": "1"}]
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_after_an_error_the_old_file_stays(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"items{ending}", [{"id": "old"}], ("id",))

    def stop_half_way() -> None:
        with open_writer(path, ["id"]) as writer:
            writer.write({"id": "new"})
            raise RuntimeError("stopped half-way")

    with pytest.raises(RuntimeError, match="stopped half-way"):
        stop_half_way()
    assert read_values(path) == [{"id": "old"}]
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    writer = open_writer(tmp_path / f"items{ending}", ["id"])
    writer.write({"id": os.urandom(2000).hex()})
    with no_file_longer_than(1000), pytest.raises(ConfigurationError, match=r"cannot write .*File too large"):
        writer.close()
    assert names_in(tmp_path) == []


def test_the_output_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    reference = write_bytes(tmp_path / "reference", b"")
    path = write(tmp_path / "items.csv", [], ("id",))

    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(reference.stat().st_mode)


def test_the_same_rows_give_the_same_zipped_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv.gz", [{"id": "1"}], ("id",)).read_bytes()

    assert write(tmp_path / "b.csv.gz", [{"id": "1"}], ("id",)).read_bytes() == first


def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    target = write_bytes(tmp_path / "real.csv", b"")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    write(link, [{"id": "1"}], ("id",))

    assert link.is_symlink()
    assert target.read_text() == "id\n1\n"


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file_format", "message"),
    [
        ("items.doc", None, r"cannot tell the format of .*items\.doc"),
        ("items.gz", None, "cannot tell the format"),
        ("items.csv", "xml", "unknown format 'xml'; known are csv, tsv, jsonl, json, parquet, xlsx"),
        ("items.parquet.gz", None, "Parquet is read from a file of its own"),
        ("items.csv", None, r"cannot read .*items\.csv: No such file or directory"),
        ("items.parquet", None, r"cannot read .*items\.parquet as Parquet"),
    ],
)
def test_files_that_cannot_be_opened(tmp_path: Path, name: str, file_format: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_records(tmp_path / name, file_format)


@pytest.mark.parametrize(
    ("file_format", "message"), [(None, "standard input has no name"), ("parquet", "neither from standard input")]
)
def test_standard_input_needs_a_format_that_can_be_piped(file_format: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_records("-", file_format)


def test_what_standard_streams_cannot_do() -> None:
    with pytest.raises(ConfigurationError, match="columns of standard input are not known"):
        scan_columns("-", "jsonl")
    with pytest.raises(ConfigurationError, match="the output needs a file of its own"):
        open_writer("-", ["id"], file_format="csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"id" x,text\n', "the header row cannot be read"),
    ],
)
def test_headers_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_records(write_bytes(tmp_path / "items.csv", content))


def test_parquet_with_a_column_named_twice(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["id", "id"]), path)
    with open_records(path) as reader:
        assert list(reader) == [Row(1, {"id [1]": 1, "id [2]": 2})]


def test_a_truncated_zipped_file_is_reported_before_its_first_row(tmp_path: Path) -> None:
    rows = [{"id": str(number), "text": os.urandom(50).hex()} for number in range(5000)]
    path = write(tmp_path / "items.csv.gz", rows, ("id", "text"))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ConfigurationError, match="is damaged or cut off"):
        open_records(path)


@pytest.mark.parametrize("keep", [5, 12])
def test_a_zipped_file_cut_off_at_once(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "items.csv.gz"
    path.write_bytes(gzip.compress(b"id\n1\n")[:keep])
    with pytest.raises(ConfigurationError, match="is damaged"):
        open_records(path)


def test_a_parquet_page_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    noise = random.Random(1)
    pq.write_table(pa.table({"text": [noise.randbytes(20).hex() for _ in range(2000)]}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[200:4000] = bytes(3800)
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match="damaged or cut off after row"):
        read(path)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigurationError, match="not a regular file"):
        open_writer(tmp_path / "folder.csv", ["id"])
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        open_writer(tmp_path / "absent" / "items.csv", ["id"])
    with pytest.raises(ConfigurationError, match="more than one column is named 'id'"):
        open_writer(tmp_path / "items.csv", ["id", "id"])


def test_formats_have_names_for_an_option() -> None:
    assert [str(known) for known in RecordFormat] == ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"]
