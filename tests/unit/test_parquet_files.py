"""Parquet: types come through, and what is written has the types of what was read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from celery_recommender.records import BadRow, ItemMapping, Row, open_records, open_writer
from celery_recommender.records import parquet as parquet_module
from celery_recommender.records.values.text import to_id

MOMENT_NS = 1_741_617_000_123_456_789
COLUMNS: dict[str, tuple[list[Any], Any]] = {
    "int8": ([1, None], pa.int8()),
    "uint64": ([2**64 - 1, 0], pa.uint64()),
    "float32": ([0.1, None], pa.float32()),
    "half": ([0.5, None], pa.float16()),
    "decimal": ([Decimal("199.90"), None], pa.decimal128(30, 2)),
    "date": ([dt.date(2025, 3, 10), None], pa.date32()),
    "time": ([dt.time(14, 30), None], pa.time32("s")),
    "millis": ([dt.datetime(2025, 3, 10), None], pa.timestamp("ms", "Europe/Oslo")),
    "nanos": ([MOMENT_NS, None], pa.timestamp("ns")),
    "nanos in utc": ([MOMENT_NS, None], pa.timestamp("ns", "UTC")),
    "list of nanos": ([[MOMENT_NS, None], None], pa.list_(pa.timestamp("ns"))),
    "struct of nanos": ([{"at": MOMENT_NS}, None], pa.struct([("at", pa.timestamp("ns"))])),
    "duration": ([dt.timedelta(seconds=5), None], pa.duration("us")),
    "list": ([["a", "b"], None], pa.list_(pa.string())),
    "large text": (["a", None], pa.large_string()),
    "struct": ([{"w": 120, "d": None}, None], pa.struct([("w", pa.int16()), ("d", pa.float64())])),
    "map": ([[("a", 1)], None], pa.map_(pa.string(), pa.int32())),
    "category": (["a", "b"], pa.dictionary(pa.int32(), pa.string())),
    "binary text": ([b"Blue chair", None], pa.binary()),
    "binary": ([b"\xff\x00", None], pa.binary()),
    "four bytes": ([b"abcd", None], pa.binary(4)),
    "flag": ([True, None], pa.bool_()),
    "nothing": ([None, None], pa.null()),
}


def table(columns: dict[str, tuple[list[Any], Any]]) -> pa.Table:
    return pa.table({name: pa.array(values, type=kind) for name, (values, kind) in columns.items()})


def copied(path: Path, out: Path, added: tuple[str, ...] = ()) -> pa.Table:
    with open_records(path) as reader, open_writer(out, reader.columns, added, like=reader.dialect) as writer:
        for row in reader:
            writer.write({**row.values, **dict.fromkeys(added, "x")})
    return pq.read_table(out)


@pytest.mark.parametrize("chunk", [1, 10_000])
@pytest.mark.parametrize("name", [*COLUMNS, "all"])
def test_types_come_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, chunk: int) -> None:
    monkeypatch.setattr(parquet_module, "WRITE_CHUNK_ROWS", chunk)
    columns = COLUMNS if name == "all" else {name: COLUMNS[name]}
    path = tmp_path / "items.parquet"
    pq.write_table(table(columns), path)
    given = pq.read_table(path)
    found = copied(path, tmp_path / "out.parquet", ("band",))
    for field in given.schema:
        if not pa.types.is_null(field.type):  # which is written as text, so that every reader understands it
            assert found.schema.field(field.name).type == field.type
            assert found[field.name].combine_chunks().equals(given[field.name].combine_chunks()), field.name
    assert found["band"].to_pylist() == ["x", "x"]


def test_a_column_that_may_not_be_null_stays_so_until_one_is(tmp_path: Path) -> None:
    path, out = tmp_path / "items.parquet", tmp_path / "out.parquet"
    schema = pa.schema([pa.field("id", pa.int32(), nullable=False)], metadata={"made": "by us"})
    pq.write_table(pa.table({"id": [1, 2]}, schema=schema), path)
    found = copied(path, out)
    assert found.schema.field("id") == schema.field("id")
    assert found.schema.metadata[b"made"] == b"by us"
    with open_records(path) as reader, open_writer(out, reader.columns, like=reader.dialect) as writer:
        writer.write({"id": None})
    assert pq.read_schema(out).field("id") == pa.field("id", pa.int32())


def test_text_without_the_mark_for_it_is_text(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"id": pa.array([b"sku-1", b"\xff\xfe"], pa.binary())}), path)
    with open_records(path) as reader:
        assert list(reader) == [Row(1, {"id": "sku-1"}), Row(2, {"id": b"\xff\xfe"})]


def test_bytes_that_are_no_text_are_neither_id_nor_text(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    noise = pa.array([b"\xff\xfe", b"fine"], pa.binary())
    pq.write_table(pa.table({"id": noise, "text": pa.array([b"fine", b"\xff\xfe"], pa.binary())}), path)
    with open_records(path) as reader:
        mapping = ItemMapping(id_field="id", text_fields=("text",))
        found = [mapping.item(row) for row in reader if isinstance(row, Row)]
    assert [type(item) for item in found] == [BadRow, BadRow]


def test_a_value_that_cannot_be_read_leaves_the_others_of_its_row(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    text = pa.array([b"caf\xe9", b"good"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": [1, 2], "text": text}), path)
    with open_records(path) as reader:
        bad, good = list(reader)
    assert isinstance(bad, BadRow)
    assert dict(bad.values) == {"id": 1, "text": "caf\\xe9"}
    assert good == Row(2, {"id": 2, "text": "good"})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1001.0, "1001"),
        (Decimal("1001.00"), "1001"),
        (Decimal("1E+3"), "1000"),
        (1003.5, "1003.5"),
        (2**63, str(2**63)),
    ],
)
def test_a_whole_number_is_an_id_without_a_point(value: Any, said: str) -> None:
    assert to_id(value) == said
