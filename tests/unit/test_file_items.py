"""Rows as items, each id once; what became of them in numbers that add up; and what is kept of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_recommender.cli.input.checkpoint import Checkpoint, account
from celery_recommender.cli.input.labelled_files import read_items
from celery_recommender.cli.input.sending import acceptable
from celery_recommender.cli.input.tally import Tally
from celery_recommender.records import BadRow, ItemMapping, ItemRow, Items, OnRepeat, Row
from recommender_engine.items import EntryId

BY_ID = ItemMapping(id_field="id", text_fields=("text",), timestamp_field="when")


def rows(*cells: tuple[Any, Any]) -> list[Row | BadRow]:
    return [Row(number, {"id": id_, "text": text, "when": None}) for number, (id_, text) in enumerate(cells, 1)]


def read(found: list[Row | BadRow], on_repeat: str = "error") -> tuple[list[ItemRow], Tally, Items]:
    tally = Tally(OnRepeat(on_repeat))
    items = Items(found, BY_ID, OnRepeat(on_repeat), acceptable)
    every = list(items)
    for one in every:
        tally.add(one)
    return every, tally, items


def ids(found: list[ItemRow]) -> list[str]:
    return [f"! {one.item.error}" if isinstance(one.item, BadRow) else one.item["id"] for one in found]


TWICE = rows(("17", "one"), ("18", "two"), ("17", "three"), ("17", "four"))


def test_a_repeated_id_is_reported_and_the_rest_goes_on() -> None:
    found, tally, _ = read(TWICE)
    assert ids(found) == ["17", "18", "! the id of row 1 once more", "! the id of row 1 once more"]
    assert tally.as_dict() == {
        "rows": 4,
        "items": 2,
        "failed": 2,
        "repeated_ids": 2,
        "empty_texts": 0,
        "errors_by_kind": {"repeated_id": {"rows": 2, "first_row": 3, "example": "the id of row 1 once more"}},
        "findings": {},
    }
    assert tally.exit_code == 3
    assert "2 repeated ids (first in row 3; left out: --on-repeat last or suffix takes them)" in tally.lines()[0]


def test_the_last_of_a_repeated_id_can_be_taken() -> None:
    found, tally, items = read(TWICE, "last")
    assert ids(found) == ["17", "18", "17", "17"]
    assert items.replaced == {1: 3, 3: 4}
    assert (tally.items, tally.repeated, tally.failed, tally.exit_code) == (2, 2, 0, 0)


def test_each_of_a_repeated_id_can_have_one_of_its_own() -> None:
    found, tally, _ = read([*TWICE, *rows(("", ""), ("", ""), ("", ""), ("", ""), ("17-2", "five"))[4:]], "suffix")
    assert ids(found) == ["17", "18", "17-2", "17-3", "17-2-2"]
    assert (tally.items, tally.repeated, tally.exit_code) == (5, 3, 0)


def test_rows_that_are_no_items_claim_no_id() -> None:
    found, tally, _ = read(rows(("a", ""), ("a", "x" * 100_000), ("a", "one"), ("", "two"), ("b\u0000", "three")))
    assert ids(found)[2] == "a"
    assert list(tally.errors) == ["no_text", "invalid_value", "no_id"]
    assert (tally.accepted, tally.failed, tally.empty_texts) == (1, 4, 1)


def test_continued_rows_are_distinguished_from_empty_ones() -> None:
    found, tally, _ = read(rows(("jacket", "Jacket"), ("jacket", ""), ("jacket", None), ("mug", ""), ("jacket", "")))
    assert ids(found) == [
        "jacket",
        "! no text: it continues row 1, whose id it has",
        "! no text: it continues row 1, whose id it has",
        "! no text in column 'text'",
        "! no text in column 'text'",
    ]
    assert (tally.errors["continues_row_above"].rows, tally.empty_texts, tally.repeated) == (2, 4, 0)


@pytest.mark.parametrize(
    ("id_", "kind"),
    [
        ("4.01E+12", "id_in_scientific_notation"),
        ("4,01E+12", "id_in_scientific_notation"),
        (1.2345678901234568e19, "id_in_scientific_notation"),
        ("17.0", "id_with_a_point"),
        (" A-1", "id_with_blanks_around"),
        ("0040123", None),
        ("12E4", None),
        (17.0, None),
    ],
)
def test_odd_ids_are_kept_and_reported(id_: Any, kind: str | None) -> None:
    (one,), tally, _ = read(rows((id_, "text")))
    assert not isinstance(one.item, BadRow)
    assert list(tally.findings) == ([] if kind is None else [kind])
    assert tally.exit_code == 0


@pytest.mark.parametrize("id_", ["", "  ", "\u00a0", None, "N/A", "NULL", "-", "unknown"])
def test_a_blank_id_is_none(id_: str | None) -> None:
    (one,), tally, _ = read(rows((id_, "text")))
    assert isinstance(one.item, BadRow)
    assert (one.item.kind, tally.exit_code) == ("no_id", 1)
    assert one.item.values["text"] == "text"


def test_words_that_say_nothing_can_be_added_or_taken_for_texts() -> None:
    from celery_recommender.records.values.blanks import Blanks

    own = ItemMapping(id_field="id", text_fields=("text",), blanks=Blanks.of(["Pas de texte!"], known=False))
    found = [own.item(row) for row in rows(("1", "N/A"), ("2", "pas de TEXTE"), ("N/A", "x")) if isinstance(row, Row)]
    assert [isinstance(item, BadRow) for item in found] == [False, True, False]


@pytest.mark.parametrize(
    ("on_repeat", "kept"),
    [("error", ["one", "two"]), ("last", ["two", "four"]), ("suffix", ["one", "two", "three", "four"])],
)
def test_items_of_a_file_for_an_evaluation_come_once(on_repeat: str, kept: list[str]) -> None:
    found = read_items(TWICE, BY_ID, "in.csv", OnRepeat(on_repeat))
    assert [item.text for item in found.items] == kept
    assert len(found.bad) == (2 if on_repeat == "error" else 0)


cell = st.sampled_from(["a", "b", "a-2", "", "N/A", "x y", None, 1, 1.5, "4.01E+12", "é"])


@given(st.lists(st.tuples(cell, cell), max_size=30), st.sampled_from(list(OnRepeat)))
def test_rows_in_are_items_and_errors(cells: list[tuple[Any, Any]], on_repeat: OnRepeat) -> None:
    found, tally, items = read(rows(*cells), on_repeat)
    assert tally.rows == len(cells) == tally.accepted + tally.failed
    taken = [one.item["id"] for one in found if not isinstance(one.item, BadRow)]
    assert len(set(taken)) == tally.items == len(taken) - len(items.replaced)
    assert tally.exit_code == (1 if not taken else 3 if tally.failed else 0)


# -- what is kept of a run ---------------------------------------------------------------------------------------------


def written(folder: Path) -> Path:
    checkpoint = Checkpoint(folder, "identity", restart=False)
    checkpoint.advance(500, 490, EntryId(5, 0))
    (path,) = folder.iterdir()
    return path


def test_a_checkpoint_is_found_again(tmp_path: Path) -> None:
    written(tmp_path)
    again = Checkpoint(tmp_path, "identity", restart=False)
    assert (again.rows, again.sent, again.position, again.damaged) == (500, 490, EntryId(5, 0), False)
    assert Checkpoint(tmp_path, "identity", restart=True).rows == Checkpoint(tmp_path, "other", restart=False).rows == 0


@pytest.mark.parametrize(
    "spoilt",
    ["", "{", "[]", "null", '{"rows": 5}', '{"rows": "x", "run": "y"}', '{"rows": 1, "run": "r", "position": 7}', "\0"],
)
def test_a_checkpoint_that_was_cut_short_counts_for_none(tmp_path: Path, spoilt: str) -> None:
    path = written(tmp_path)
    path.write_text(spoilt)
    again = Checkpoint(tmp_path, "identity", restart=False)
    assert (again.rows, again.sent, again.position, again.damaged) == (0, 0, None, True)
    again.advance(1, 1, EntryId(6, 0))
    assert json.loads(path.read_text())["rows"] == 1


def test_what_has_been_sent_is_reported_with_how_to_undo_it(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "identity", restart=False)
    assert account(checkpoint, "march", "in.csv") == ["nothing has been sent"]
    checkpoint.advance(500, 490, EntryId(5, 0))
    told = account(checkpoint, "march", "in.csv")
    assert "490 items of the rows up to 500 have been sent to the collection 'march'" in told[0]
    assert "recommender ingest in.csv --take-back" in told[-1]
    assert "recommender delete-collection march" in told[-1]
    told = account(checkpoint, "acme tickets", "in; rm.csv")
    assert "recommender ingest 'in; rm.csv' --take-back" in told[-1]
    assert "recommender delete-collection 'acme tickets'" in told[-1]
