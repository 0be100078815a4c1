"""Guesses the columns that no option names, from their names and the first rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from celery_recommender.records.mapping import ItemMapping, MappingOptions, parsed
from celery_recommender.records.reader import RecordReader
from celery_recommender.records.rows import Row
from celery_recommender.records.values.blanks import Blanks
from celery_recommender.records.values.dates import date_form
from celery_recommender.records.values.guessing import Columns, Kind, listed, matching
from celery_recommender.records.values.quantities import DecimalMark, NumberForm, Undecided, number_form
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import limits
from recommender_engine.items.prices import is_price


def resolve_mapping(reader: RecordReader, options: MappingOptions) -> ItemMapping:
    """Complete the options from the names of the columns and the first rows of the file.

    Names are matched whatever their case and the blanks around them. Without an id column, ``id`` is taken, or a column
    of another usual name (``number``, ``sku``, ``Ticketnummer`` …) whose cells hardly ever repeat, else the row number
    behind the stem of the file name. Without text columns, ``text``, else a heading (``title``, ``Betreff``, ``objet``
    …) and a body (``description``, ``Nachricht``, ``descripción`` …), else the column that says most; never one that
    holds URLs, numbers, dates, ids or JSON. Where reading starts makes no difference. Dates without an offset are UTC.

    Raises:
        ConfigurationError: a column is not there, there are more of them than an item may have, or none holds text.
    """
    given = _found(options, reader.columns)
    sample = reader.sample(waiting=not options.text_fields)
    columns = Columns(reader.columns, sample)
    id_field, text_fields, doubt = given.id_field, given.text_fields, ""
    notes = []
    taken = set(filter(None, [given.id_field, given.timestamp_field, *given.attributes]))
    if id_field is None:
        id_field = columns.id({*taken, *text_fields})
        taken.update(filter(None, [id_field]))
    if not text_fields:
        text_fields, doubt = _guessed_text(columns, sample, reader.columns, taken)
        notes.append(f"text: column {listed(text_fields)}" if text_fields else "text: no row to choose a column by")
    if id_field is None:
        id_field = columns.continued_id({*taken, *text_fields}, text_fields)
        taken.update(filter(None, [id_field]))
    if given.id_field is None:
        by = f"column {id_field!r}" if id_field is not None else f"{reader.stem}-ROW, with the row number"
        notes.insert(0, f"id: {by}")
    unused = columns.unused({*text_fields, *taken})
    if not given.text_fields and unused:
        notes.append("not used: " + ", ".join(f"{name!r} ({option})" for name, option in unused.items()))
    _check_size("text columns", text_fields, limits.MAX_FIELDS)
    _check_size("attributes", given.attributes, limits.MAX_ATTRIBUTES)
    numbers, remarks = number_forms(columns, given.attributes, options.decimal, typed=reader.typed)
    return ItemMapping(
        id_field=id_field,
        text_fields=text_fields,
        attributes=given.attributes,
        timestamp_field=given.timestamp_field,
        collection=options.collection,
        id_prefix="".join(char if char.isprintable() else "_" for char in reader.stem),
        parse_attributes=not reader.typed,
        dates=date_form(
            columns.cells(given.timestamp_field) if given.timestamp_field is not None else (),
            order=options.date_order,
            sheet_days=options.excel_dates,
        ),
        numbers=numbers,
        blanks=Blanks.of(options.placeholders, known=options.known_placeholders),
        notes=(*filter(None, [reader.remark]), *notes, *remarks),
        guessed=options.id_field is None or not options.text_fields,
        doubt=doubt,
        unused=unused,
    )


def further_columns(reader: RecordReader, mapping: ItemMapping) -> MappingOptions:
    """The mapping as options, with the columns taken along that look like a date, a price or a brand."""
    columns = Columns(reader.columns, reader.sample(waiting=True))
    used = filter(None, [mapping.id_field, mapping.timestamp_field, *mapping.text_fields, *mapping.attributes])
    unused = columns.unused(used)
    date = next((name for name, option in unused.items() if option == "--timestamp-field"), None)
    return MappingOptions(
        id_field=mapping.id_field,
        text_fields=mapping.text_fields,
        attributes=(*mapping.attributes, *(name for name in unused if name != date)),
        timestamp_field=mapping.timestamp_field or date,
        collection=mapping.collection,
    )


class _Given(NamedTuple):
    """The columns that were named, as they are spelt in the file."""

    id_field: str | None
    text_fields: tuple[str, ...]
    attributes: tuple[str, ...]
    timestamp_field: str | None


def _found(options: MappingOptions, columns: Sequence[str]) -> _Given:
    named = [options.id_field, options.timestamp_field, *options.text_fields, *options.attributes]
    found = {name: matching(name, columns) for name in named if name is not None}
    missing = [name for name, column in found.items() if column is None]
    if missing and columns:  # a file without any column has no rows either
        raise ConfigurationError(f"no column {listed(missing)}; there are {listed(columns)}")
    known = {name: column or name for name, column in found.items()}

    def several(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(known[name] for name in names))

    return _Given(
        known.get(options.id_field or ""),
        several(options.text_fields),
        several(options.attributes),
        known.get(options.timestamp_field or ""),
    )


def _guessed_text(
    columns: Columns, sample: Sequence[Row], names: Sequence[str], taken: Iterable[str]
) -> tuple[tuple[str, ...], str]:
    """The columns with the text, and why they may be the wrong ones."""
    guess = columns.text(taken)
    if not guess.columns and sample:
        nested = [name for name in names if columns.kind(name) is Kind.DATA]
        inside = f"; {listed(nested)} holds objects: write their keys as columns of their own" if nested else ""
        raise ConfigurationError(
            f"no column holds text; there are {listed(names)} (--text-field COLUMN takes one all the same){inside}"
        )
    if guess.columns and (odd := columns.header_doubt()):
        return guess.columns, f"{odd}? Say --text-field COLUMN"
    if guess.sure or not guess.columns:
        return guess.columns, ""
    more = f", or {listed(guess.others)}" if guess.others else ""
    return (
        guess.columns,
        f"it is not sure that column {listed(guess.columns)} is the text{more}: say --text-field COLUMN",
    )


def number_forms(
    columns: Columns, attributes: Iterable[str], decimal: DecimalMark | None, *, typed: bool
) -> tuple[dict[str, NumberForm], list[str]]:
    """How the numbers of attributes are written, and notes on it."""
    forms: dict[str, NumberForm] = {}
    remarks: list[str] = []
    for name in attributes:
        mark = decimal
        if mark is None and typed and is_price(name) and _all_plain(columns.cells(name)):
            mark = "point"  # a price that a program has written as text
        form = number_form(columns.cells(name), mark)
        if isinstance(form, NumberForm):
            forms[name] = form
            remarks.append(f"attribute {name!r}: {form.describe()}")
        elif isinstance(form, Undecided):
            remarks.append(f"attribute {name!r}: kept as text: {form.reason}")
    return forms, remarks


def _all_plain(cells: Sequence[Any]) -> bool:
    return bool(cells) and all(isinstance(cell, str) and not isinstance(parsed(cell), str) for cell in cells)


def _check_size(what: str, names: Sequence[str], most: int) -> None:
    if len(names) > most:
        raise ConfigurationError(f"{len(names)} {what}, but an item has at most {most}")
    too_long = [name for name in names if len(name) > limits.MAX_NAME_CHARS]
    if too_long:
        raise ConfigurationError(f"longer than {limits.MAX_NAME_CHARS} characters: column {listed(too_long)}")
