"""Files of every kind, made by code, and changed at random places: a seed gives the same file each time."""

from __future__ import annotations

import codecs
import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from celery_recommender.records import BadRow, Dialect, Row, open_records, open_writer
from celery_recommender.records.delimited.repair import Records
from recommender_engine.errors import ConfigurationError

COLUMNS = ("id", "title", "note", "price")
_WORDS = [
    "lamp",
    "Tür",
    "größe",
    "oak",
    "café",
    '12"',
    "pipe,",
    "small;",
    "|",
    "tab\tend",
    "back\\slash",
    "N/A",
    "Łódź",
]
_PIECES = [b'"', b"'", b",", b";", b"\t", b"|", b"\\", b"\\N", b"\n", b"\r", b"\r\n", b"\0", b" ", b'""', b"\\\n"]
_PIECES += [b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xc3", b"\x81", b"sep=;\n", b"#", b"{", b"}", b"[", b"]"]
_PIECES += [
    b"\\.\n",
    b'="00"',
    b'{"$oid":',
    b'{"$date":',
    b"Total,,,5\n",
    b",,,kg\n",
    b"\x1e",
    b"]}\n{",
    b"- a: ",
    b"<p>",
]
_PIECES += [b'"id":', b"NaN", b"1e400", b'{"id":1}', b"id,title,note,price\n", b"\xed\xa0\xbd", b"\\ud83d", b"\n" * 50]
_ENCODINGS = [("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("cp1252", b""), ("cp1250", b""), ("gb18030", b"")]
_ENCODINGS += [("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", b""), ("utf-32-le", codecs.BOM_UTF32_LE)]


def sample(noise: random.Random) -> tuple[str, bytes]:
    """A valid file: its extension and its bytes."""
    return noise.choice(_KINDS)(noise)


def mutated(noise: random.Random, data: bytes) -> bytes:
    """The bytes with up to five changes."""
    changed = bytearray(data)
    for _ in range(noise.randint(0, 5)):
        at = noise.randint(0, len(changed))
        end = min(len(changed), at + noise.choice((1, 1, 2, 10, 100)))
        match noise.randint(0, 5):
            case 0:
                changed[at:end] = b""
            case 1:
                changed[at:at] = changed[at:end]
            case 2:
                changed[at:end] = noise.randbytes(end - at)
            case 3 if noise.random() < 0.3:
                del changed[at:]
            case _:
                changed[at:at] = noise.choice(_PIECES)
    return bytes(changed)


def check(path: Path, out: Path) -> tuple[int, int]:
    """Read a file and write it alike; how many rows were read and how many reported.

    Raises:
        AssertionError: a number is left out or comes twice, a second reading differs, or OUT has other rows.
    """
    try:
        with open_records(path) as reader:
            rows = list(reader)
            dialect = reader.dialect
            assert dialect.describe()
            columns = tuple(dict.fromkeys([*reader.columns, *(key for row in rows for key in row.values)]))
    except ConfigurationError:
        return 0, 0
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    good = [row for row in rows if isinstance(row, Row)]
    for row in rows:
        if isinstance(row, BadRow):
            assert row.error.isprintable()
            assert row.values or not columns, "a row without its own cells"
    with open_records(path, start_after=len(rows) // 2) as reader:
        assert [row.number for row in reader] == list(range(len(rows) // 2 + 1, len(rows) + 1))
    with open_writer(out, columns, ("error of ours",), like=dialect) as writer:
        for row in rows:
            writer.write({**row.values, "error of ours": "x"})  # so that no row is empty
    assert _count(out, dialect) == len(rows), "OUT has another number of rows"
    return len(good), len(rows) - len(good)


def _count(out: Path, dialect: Dialect) -> int:
    """How many rows a file of this dialect has; read with its marks, for random bytes may look like other ones."""
    if not dialect.format.is_delimited:
        with open_records(out) as reader:
            return sum(1 for _ in reader)
    data = out.read_bytes().removeprefix(dialect.encoding.mark)
    lines = io.StringIO(data.decode(dialect.encoding.written), newline="")
    for _ in range(dialect.hint + len(dialect.preamble)):
        next(lines)
    return sum(1 for record in Records(lines, dialect.marks) if record.cells) - 1


def _rows(noise: random.Random) -> list[list[str]]:
    count = noise.choice((0, 1, 2, 5, 40))
    return [[str(n), *(" ".join(noise.choices(_WORDS, k=noise.randint(0, 6))) for _ in range(3))] for n in range(count)]


def _delimited(noise: random.Random) -> tuple[str, bytes]:
    text = io.StringIO()
    end = noise.choice(("\n", "\r\n", "\r"))
    delimiter = noise.choice(",;\t|")
    quoting = noise.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([COLUMNS, *_rows(noise)])
    encoding, mark = noise.choice(_ENCODINGS)
    return noise.choice((".csv", ".tsv", ".txt")), mark + text.getvalue().encode(encoding, "replace")


def _database(noise: random.Random) -> tuple[str, bytes]:
    lines = ["\t".join(cell.replace("\t", "\\t") or "\\N" for cell in row) for row in [list(COLUMNS), *_rows(noise)]]
    return ".tsv", ("\n".join(lines) + "\n").encode()


def _report(noise: random.Random) -> tuple[str, bytes]:
    """A table as office programs write it: names of groups, units, formulas, totals, a line of text below."""
    rows = _rows(noise)
    lines = [",,Product,", ",".join(COLUMNS), noise.choice((",,,EUR", "int,text,text,(EUR)", "--,-----,----,-----"))]
    lines += [f'="00{row[0]}","{row[1]}","{row[2]}",{index}.50-' for index, row in enumerate(rows)]
    lines += ["", "# a comment", f"Total,,,{len(rows)}", f"({len(rows)} rows)"]
    kept = [line for line in lines if line == lines[1] or noise.random() < 0.8]
    return noise.choice((".csv", ".txt")), "\r\n".join(kept).encode()


def _copy(noise: random.Random) -> tuple[str, bytes]:
    """As PostgreSQL copies a table; and with quotes that are escaped and without any value that is none."""
    rows = [list(COLUMNS), *_rows(noise)]
    if noise.random() < 0.5:
        return ".csv", "".join(
            ",".join('"' + cell.replace('"', '\\"') + '"' for cell in row) + "\n" for row in rows
        ).encode()
    return ".tsv", (
        "".join("\t".join(cell.replace("\t", " ") for cell in row) + "\n" for row in rows) + "\\.\n"
    ).encode()


def _nested(noise: random.Random) -> tuple[str, bytes]:
    """JSON as services and databases give it: rows that stand deeper, pages, values with their types."""
    rows = [{"_id": {"$oid": row[0]}, **dict(zip(COLUMNS, row, strict=True))} for row in _rows(noise)]
    indent = noise.choice((None, 1))
    page = {"meta": {"n": {"$numberLong": "1"}, "x": "]}"}, "data": {"items": rows}, "next": None}
    pages = [page] * noise.choice((1, 1, 2))
    found: object = noise.choice(({"response": page}, {"rows": rows}, {"a": [1, 2], "b": [3, 4]}, {"x": {"y": rows}}))
    text = "\n".join(json.dumps(one, indent=indent) for one in noise.choice((pages, [found])))
    return noise.choice((".json", ".json", ".jsonl")), text.encode()


def _listing(noise: random.Random) -> tuple[str, bytes]:
    """Text that is no table, or barely one."""
    rows = _rows(noise)
    layouts: list[Callable[[], str]] = [
        lambda: "".join(f"- id: {row[0]}\n  title: {row[1]}\n" for row in rows),
        lambda: "ID    TITLE                          NOTE\n" + "".join(f"{r[0]:6}{r[1]:31}{r[2]}\n" for r in rows),
        lambda: "".join(f"{'*' * 20} {row[0]}. row {'*' * 20}\n   id: {row[0]}\ntitle: {row[1]}\n" for row in rows),
        lambda: "".join(f"From a@x.org Mon Mar 10 14:30:00 2025\nSubject: {row[1]}\n\n{row[2]}\n" for row in rows),
        lambda: "text\n" + "".join(f"{row[1]}\n" for row in rows),
        lambda: "".join(f"<p>{row[1]}</p>\n<p>" for row in rows),
    ]
    return noise.choice((".txt", ".csv", ".json")), noise.choice(layouts)().encode()


def _json(noise: random.Random) -> tuple[str, bytes]:
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in _rows(noise)]
    layouts: list[Callable[[], str]] = [
        lambda: "".join(json.dumps(row) + "\n" for row in rows),
        lambda: json.dumps(rows, ensure_ascii=False),
        lambda: json.dumps(rows, indent=2),
        lambda: "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]",
        lambda: json.dumps({"total": 1, "items": rows}, indent=1),
        lambda: "\n".join(json.dumps(row, indent=1) for row in rows),
    ]
    return noise.choice((".json", ".jsonl")), noise.choice(layouts)().encode()


def _parquet(noise: random.Random) -> tuple[str, bytes]:
    file = io.BytesIO()
    rows = _rows(noise)
    pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(COLUMNS)}), file)
    return ".parquet", file.getvalue()


def _workbook(noise: random.Random) -> tuple[str, bytes]:
    file = io.BytesIO()
    book = openpyxl.Workbook()
    for row in [list(COLUMNS), *_rows(noise)]:
        book.active.append(row)
    book.save(file)
    return ".xlsx", file.getvalue()


_KINDS = [_delimited] * 8 + [_database] * 2 + [_json] * 6 + [_parquet] + [_workbook]
_KINDS += [_report] * 3 + [_copy] * 2 + [_nested] * 3 + [_listing]


def trials(seed: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Files from one seed on, without end: each written to the folder and checked. A failure names its seed."""
    while True:
        noise = random.Random(seed)
        ending, data = sample(noise)
        path = folder / f"fuzzed{ending}"
        path.write_bytes(mutated(noise, data))
        try:
            yield check(path, folder / f"out{ending}")
        except Exception as error:
            raise AssertionError(f"seed {seed}, {ending}: {type(error).__name__}: {error}") from error
        seed += 1
