"""Which columns are what: by names in several languages and by many cells, and never a URL, an id, a number or JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.records import ItemMapping, MappingOptions, open_records, resolve_mapping
from celery_recommender.records.values.guessing import Kind, kind_of
from recommender_engine.errors import ConfigurationError

PROSE = ("The printer on floor two is jammed", "Please add me to the payroll group", "The projector shows no picture")
URL = "https://cdn.example.com/media/catalogue/products/large/a-very-long-name-of-a-picture-0001.jpg"


def mapping(tmp_path: Path, columns: dict[str, list[Any]], **options: Any) -> ItemMapping:
    path = tmp_path / "things.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    with open_records(path) as reader:
        return resolve_mapping(reader, MappingOptions(**options))


@pytest.mark.parametrize(
    ("header", "id_field", "text_fields"),
    [
        (("Nummer", "Betreff", "Beschreibung"), "Nummer", ("Betreff", "Beschreibung")),
        (("Ticket ID", "Ticket Subject", "Message"), "Ticket ID", ("Ticket Subject", "Message")),
        (("Issue key", "Summary", "Description"), "Issue key", ("Summary", "Description")),
        (("SKU", "ProductName", "product_description"), "SKU", ("ProductName", "product_description")),
        (("Numéro", "Objet", "Contenu"), "Numéro", ("Objet", "Contenu")),
        (("código", "Título", "Descripción"), "código", ("Título", "Descripción")),
        (("codice", "titolo", "descrizione"), "codice", ("titolo", "descrizione")),
        (("nummer", "onderwerp", "omschrijving"), "nummer", ("onderwerp", "omschrijving")),
        (("id", "Assunto", "Descrição"), "id", ("Assunto", "Descrição")),
        (("id", "Temat", "Opis"), "id", ("Temat", "Opis")),
        ((" ID ", " title ", "TEXT"), " ID ", ("TEXT",)),
    ],
)
def test_usual_names(tmp_path: Path, header: tuple[str, ...], id_field: str, text_fields: tuple[str, ...]) -> None:
    cells = [["A-1", "A-2", "A-3"], list(PROSE), [f"{text} since today" for text in PROSE]]
    found = mapping(tmp_path, dict(zip(header, cells, strict=True)))
    assert (found.id_field.strip() if found.id_field else None, found.doubt) == (id_field.strip(), "")
    assert tuple(name.strip() for name in found.text_fields) == tuple(name.strip() for name in text_fields)


@pytest.mark.parametrize(
    "cells",
    [
        [URL, URL + "?x=1", URL],
        ["www.example.com/one", "www.example.com/two", "www.example.com/three"],
        ["/media/a/very/long/path/of/a/picture-1.jpg", "/media/a/2.jpg", "/media/a/3.png"],
        [json.dumps({"colour": "a very long value indeed, longer than the text"})] * 3,
        ["8f14e45f-ceea-467f-a0e6-1c2d3e4f5a6b", "8f14e45f-ceea-467f-a0e6-1c2d3e4f5a6c"],
        ["2025-03-10T14:30:00.000000000+00:00"] * 3,
        ["+49 (0)30 1234 5678 - 9012 3456 7890", "030 123456", "0049 30 123"],
        ["iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"] * 3,
        ["1,299.00 EUR", "39.99 EUR", "5.00 EUR"],
        ["someone.with.a.very.long.name@department.example.com"] * 3,
        ["N/A", "unknown", "see attachment"],
    ],
)
@pytest.mark.parametrize("name", ["zzz", "title", "description"])
def test_what_is_no_text_is_never_taken_for_it(tmp_path: Path, name: str, cells: list[str]) -> None:
    found = mapping(tmp_path, {name: cells, "xyz": list(PROSE)[: len(cells)]})
    if kind_of([cell for cell in cells if cell not in ("N/A", "unknown", "see attachment")]) is not Kind.NOTHING:
        assert found.text_fields == ("xyz",)
    else:
        assert "xyz" in found.text_fields or name in ("title", "description")


def test_many_rows_are_looked_at_and_not_the_first_alone(tmp_path: Path) -> None:
    texts = [f"{PROSE[number % 3]} for the {number}th time" for number in range(150)]
    notes = ["one very long remark that stands in the first row only, and in no other" * 3, *[""] * 149]
    found = mapping(tmp_path, {"a": notes, "b": texts})
    assert found.text_fields == ("b",)


def test_a_script_without_blanks_is_text(tmp_path: Path) -> None:
    texts = [
        f"{text}。"
        for text in ("二楼的打印机卡纸了需要有人来处理" * 4, "请把我加到工资组里面" * 5, "投影仪没有画面" * 7)
    ]
    assert mapping(tmp_path, {"a": ["A", "B", "C"], "b": texts}).text_fields == ("b",)


def test_a_choice_between_two_is_a_doubt(tmp_path: Path) -> None:
    found = mapping(tmp_path, {"a": list(PROSE), "b": list(reversed(PROSE))})
    assert "say --text-field COLUMN" in found.doubt
    assert "'a'" in found.doubt
    assert "'b'" in found.doubt
    assert mapping(tmp_path, {"a": list(PROSE), "b": list(PROSE)}, text_fields=("b",)).doubt == ""


def test_a_column_whose_cells_repeat_names_no_items(tmp_path: Path) -> None:
    found = mapping(tmp_path, {"number": ["17", "17", "18"], "sku": ["A", "B", "C"], "text": list(PROSE)})
    assert found.id_field == "sku"
    assert mapping(tmp_path, {"number": ["17", "17", "18"], "text": list(PROSE)}).id_field is None
    assert mapping(tmp_path, {"id": ["17", "17", "18"], "text": list(PROSE)}).id_field == "id"


@pytest.mark.parametrize(("odd", "chosen"), [(["S-1"], "sku"), ([""], "sku"), (["S-1", ""] * 10, None)])
def test_a_few_repeated_or_missing_ids_are_no_reason_to_number_the_rows(
    tmp_path: Path, odd: list[str], chosen: str | None
) -> None:
    ids = [*(f"S-{n}" for n in range(40 - len(odd))), *odd]
    found = mapping(tmp_path, {"sku": ids, "text": [f"an oak desk of {n} inches" for n in range(40)]})
    assert found.id_field == chosen
    numbers: dict[str, list[Any]] = {
        "no": [*range(39), 0],
        "sku": [f"S-{n}" for n in range(40)],
        "text": ["an oak desk"] * 40,
    }
    assert mapping(tmp_path, numbers).id_field == "sku", "one that tells all of them apart comes first"


def test_variants_below_their_product_leave_its_id_an_id(tmp_path: Path) -> None:
    columns = {
        "Handle": ["oak-desk", "oak-desk", "oak-desk", "pine-desk"],
        "Title": ["Oak desk", "", "", "Pine desk"],
        "Option": ["S", "M", "L", "S"],
    }
    assert mapping(tmp_path, columns).id_field == "Handle"
    columns["Title"][1] = "Oak desk, medium"
    assert mapping(tmp_path, columns).id_field is None
    columns["Title"], columns["Handle"] = ["Oak desk", "", "Pine desk", ""], ["oak-desk", "pine-desk"] * 2
    assert mapping(tmp_path, columns).id_field is None


def test_flags_are_no_dates_whatever_their_column_is_called(tmp_path: Path) -> None:
    columns = {"id": [1, 2, 3], "text": ["an oak desk", "a pine desk", "an elm desk"], "published": ["1", "0", "1"]}
    assert not [note for note in mapping(tmp_path, columns).notes if "--timestamp-field" in note]


def test_objects_that_hold_the_text_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"issues": [{"key": f"P-{n}", "fields": {"summary": "a desk"}} for n in range(3)]}))
    message = "no column holds text; .*'fields' holds objects: write their keys as columns of their own"
    with open_records(path) as reader, pytest.raises(ConfigurationError, match=message):
        resolve_mapping(reader, MappingOptions())


def test_columns_that_could_be_attributes_are_reported(tmp_path: Path) -> None:
    columns = {"id": ["1", "2", "3"], "title": list(PROSE), "Preis": ["1,50 €"] * 3, "Marke": ["Acme"] * 3}
    found = mapping(tmp_path, columns | {"Datum": ["10.03.2025"] * 3})
    assert found.notes[2] == "not used: 'Preis' (--attribute), 'Marke' (--attribute), 'Datum' (--timestamp-field)"


@pytest.mark.parametrize("wanted", ["Größe", "GRÖSSE ", "größe", "Gro\N{COMBINING DIAERESIS}ße"])
def test_names_are_matched_whatever_their_form(tmp_path: Path, wanted: str) -> None:
    found = mapping(tmp_path, {"id": ["1"], "text": ["x"], "Größe": ["M"]}, attributes=(wanted,))
    assert found.attributes == ("Größe",)


def test_a_name_that_two_columns_have_is_asked_for_exactly(tmp_path: Path) -> None:
    columns = {"id": ["1"], "Title": ["x"], "title": ["y"]}
    assert mapping(tmp_path, columns, text_fields=("Title",)).text_fields == ("Title",)
    with pytest.raises(ConfigurationError, match="no column 'TITLE'"):
        mapping(tmp_path, columns, text_fields=("TITLE",))


def test_no_column_with_text_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no column holds text; there are 'id', 'url'.*--text-field COLUMN"):
        mapping(tmp_path, {"id": ["1"], "url": [URL]})
