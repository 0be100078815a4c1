"""Files of interactions: columns, times, values, and rows that are none."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from celery_recommender.records import BadRow, open_records
from celery_recommender.records.interactions import FileInteraction, resolve_interactions
from celery_recommender.records.values.dates import Order
from recommender_engine.errors import ConfigurationError


def read(path: Path, order: Order | None = None, **named: str) -> list[FileInteraction | BadRow]:
    with open_records(str(path)) as reader:
        mapping = resolve_interactions(reader, named, order=order)
        return [row if isinstance(row, BadRow) else mapping.read(row) for row in reader]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    path = written(
        tmp_path / "i.csv",
        "Time,User,session,ITEM,kind,value,country\n2026-03-01T10:00:00+02:00,u1,s1,0017,rate,4.5,NL\n2026-03-02,,s2,9,,,\n",
    )
    assert read(path) == [
        FileInteraction("0017", dt.datetime(2026, 3, 1, 8, tzinfo=dt.UTC), "u1", "s1", "rate", 4.5),
        FileInteraction("9", dt.datetime(2026, 3, 2, tzinfo=dt.UTC), None, "s2", "buy", None),
    ]


def test_columns_can_be_named_and_times_be_seconds(tmp_path: Path) -> None:
    path = tmp_path / "i.jsonl"
    rows = [{"customer": 17, "sku": 9.0, "ts": 1_770_000_000}, {"customer": 18, "sku": "A", "ts": 1_770_000_001}]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read(path, user="customer", item="sku", time="ts")
    at = dt.datetime.fromtimestamp(1_770_000_000, dt.UTC)
    assert found[0] == FileInteraction("9", at, "17", None, "buy", None)
    assert [one.item for one in found if isinstance(one, FileInteraction)] == ["9", "A"]


def test_a_day_before_or_after_its_month_is_said_by_an_option(tmp_path: Path) -> None:
    path = written(tmp_path / "i.csv", "time,user,item\n3/4/2026 10:00,u,i\n")
    (undecided,) = read(path)
    assert isinstance(undecided, BadRow)
    assert undecided.error.startswith("column 'time': a date that can be read in two ways")
    (found,) = read(path, order="day")
    assert isinstance(found, FileInteraction)
    assert (found.at.month, found.at.day) == (4, 3)


def test_bad_rows_name_the_column(tmp_path: Path) -> None:
    path = written(
        tmp_path / "i.csv",
        "time,user,item,value\n2026-03-01,u,i,many\n2026-03-01,N/A,i,\n,u,i,\n2026-03-01,u,null,\nnever,u,i,\n",
    )
    assert [(one.number, one.error) for one in read(path) if isinstance(one, BadRow)] == [
        (1, "column 'value': not a number"),
        (2, "neither a user nor a session in column 'user'"),
        (3, "column 'time': no time"),
        (4, "column 'item': no item"),
        (5, "column 'time': not a date"),
    ]


@pytest.mark.parametrize(
    ("header", "named", "message"),
    [
        ("time,item", {}, "no column 'user'; there are 'time', 'item'"),
        ("time,user", {}, "no column 'item'"),
        ("user,item", {}, "no column 'time'"),
        ("time,user,item", {"session": "visit"}, "no column 'visit'"),
        ("time,user,item", {"colour": "item"}, "no field 'colour' of interactions; there are 'user', 'session'"),
    ],
)
def test_missing_columns(tmp_path: Path, header: str, named: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(written(tmp_path / "i.csv", f"{header}\n1,2,3\n"), **named)
