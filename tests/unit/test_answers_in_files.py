"""Answers in a table that somebody has filled in, as programs and people save it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from celery_recommender.cli.answering.labels import COLUMNS, answers_in
from celery_recommender.records import open_writer
from recommender_engine.errors import ConfigurationError


def answers(path: Path) -> list[str]:
    """The third of what each row says, or ``!`` where something is wrong with it."""
    return ["!" if isinstance(said, str) else said[2] for _, said in answers_in(str(path))]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_what_is_exported_is_read_again(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"pairs.{ending}"
    text = 'two lines,\n"quoted"; = 1 + 1'
    rows: list[dict[str, Any]] = [
        {"item_id": "007", "other_id": " x", "answer": word, "probability": 0.5, "text": text, "other_text": ""}
        for word in ("same", "different", None)
    ]
    with open_writer(str(path), COLUMNS, ()) as writer:
        for row in rows:
            writer.write(row)
    said = [one for _, one in answers_in(str(path))]
    assert said == [("007", " x", "same"), ("007", " x", "different"), ("007", " x", "")]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1.0, 0.0, float("nan"), None], ["same", "different", "", ""]),
        ([1, 0, None, 2], ["same", "different", "", "!"]),
        ([True, False, None, True], ["same", "different", "", "same"]),
        (["Ja", " nein ", "unsure", "y?"], ["same", "different", "", "!"]),
        (["TRUE", "No match", "?", "s"], ["same", "different", "", "!"]),
    ],
)
def test_a_column_of_any_type(tmp_path: Path, column: list[Any], expected: list[str]) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"item_id": [0, 1, 2, 3], "other_id": [4.0, 5.0, 6.0, 7.0], "answer": column}), path)
    assert answers(path) == expected
    ids = [said[:2] for _, said in answers_in(str(path)) if not isinstance(said, str)]
    assert ids[0] == ("0", "4"), "a number is an id without a point, and nought is one"


def test_names_of_columns_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("Answer;ITEM_ID; Other_id \ny;a;b\n;a;c\nn;;d\n", encoding="utf-16")
    assert [said for _, said in answers_in(str(path))] == [
        ("a", "b", "same"),
        ("a", "c", ""),
        "item_id or other_id is empty",
    ]


def test_a_file_without_the_columns_is_refused_and_an_empty_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("one,other_id,said\na,b,y\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no column 'item_id' and no column 'answer'; there are 'one'"):
        answers(path)
    path.write_text("", encoding="utf-8")
    assert answers(path) == []
