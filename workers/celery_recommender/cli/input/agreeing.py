"""Which column of a file is what: guessed, shown, and corrected until a person agrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from celery_recommender.cli.common import err, load_settings, printable
from celery_recommender.cli.input.mapping_options import ROWS_SHOWN, FileOptions, opened, understood
from celery_recommender.cli.remembered import DEFAULT
from celery_recommender.records import ItemMapping, RecordReader
from celery_recommender.texts import compared_cell
from recommender_engine.errors import ConfigurationError, RecommenderError

_CELL_SHOWN = 60
_CORRECTIONS = {"id": "id_field", "text": "text_fields", "time": "timestamp_field", "attributes": "attributes"}
_PROMPT = (
    "Enter sends the rows. To correct: id=COLUMN, text=COLUMN,COLUMN, time=COLUMN, attributes=COLUMN,COLUMN,"
    " collection=NAME; q ends"
)
_NOTHING = "nothing has been sent"


def collection_of(file: str) -> str:
    """A collection for a file: its name without endings."""
    stem = Path(file).name.partition(".")[0]
    return "".join(char if char.isalnum() or char in "-_" else "-" for char in stem).strip("-") or DEFAULT


def named(given: FileOptions, **changes: Any) -> FileOptions:
    """The options with some about columns changed."""
    return replace(given, mapping=replace(given.mapping, **changes))


def agreed(file: str, given: FileOptions, *, asking: bool) -> FileOptions:
    """The options with which the file is read: guessed, shown, and corrected until they are right.

    Raises:
        ConfigurationError: a guess is in doubt, and nobody can be asked; a column is not there; there are no rows.
        Abort: the answer is no.
    """
    given = _with_suggestions(file, given)
    while True:
        with opened(file, given) as (reader, mapping):
            _show(file, reader, mapping, given.collection)
            if not reader.sample(waiting=False):
                raise ConfigurationError(f"{file} has no rows; {_NOTHING}")
            if not asking and mapping.doubt and not given.yes:
                raise ConfigurationError(f"{mapping.doubt}, or --yes to go on with this choice; {_NOTHING}")
        if not asking:
            return given
        corrected = None
        while corrected is None:
            said = click.prompt(_PROMPT, default="", show_default=False, err=True).strip()
            if said in ("q", "quit"):
                err.print(_NOTHING)
                raise click.Abort
            if not said:
                return given
            corrected = _corrected(file, given, said)
        given = corrected


def _with_suggestions(file: str, given: FileOptions) -> FileOptions:
    """With the date, price and brand columns that the file seems to have."""
    with opened(file, given) as (_, mapping):
        times = [name for name, option in mapping.unused.items() if option == "--timestamp-field"]
        others = [name for name, option in mapping.unused.items() if option == "--attribute"]
    options = given.mapping
    return named(
        given,
        timestamp_field=options.timestamp_field or next(iter(times), None),
        attributes=options.attributes or tuple(others),
    )


def _corrected(file: str, given: FileOptions, said: str) -> FileOptions | None:
    """The options with a correction such as ``text=subject,body``; ``None``, and a remark, where it is none."""
    name, sign, value = said.partition("=")
    name, values = name.strip().lower(), tuple(part.strip() for part in value.split(",") if part.strip())
    if not sign or name not in (*_CORRECTIONS, "collection"):
        err.print(f"what is {said!r}? One of {', '.join(_CORRECTIONS)}, collection, a = and the columns")
        return None
    if name == "collection":
        changed = named(given, collection=value.strip() or DEFAULT)
    elif name in ("text", "attributes"):
        changed = named(given, **{_CORRECTIONS[name]: values})
    else:
        changed = named(given, **{_CORRECTIONS[name]: next(iter(values), None)})
    try:
        with opened(file, changed):
            return changed
    except RecommenderError as error:
        err.print(printable(error))
        return None


def _show(file: str, reader: RecordReader, mapping: ItemMapping, collection: str) -> None:
    """The columns with what each becomes, and the first rows as they are understood."""
    err.print(printable(f"{file}: {reader.dialect.describe()}"), style="dim")
    rows = reader.sample(waiting=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "becomes", "first row"):
        table.add_column(heading, no_wrap=heading != "first row")
    for name in reader.columns:
        first = str(rows[0].values.get(name) or "") if rows else ""
        if name in mapping.text_fields:
            first = compared_cell(first, load_settings().message_rules)
        first = " ".join(first.split())
        table.add_row(printable(name), _role(name, mapping), printable(first[:_CELL_SHOWN]))
    err.print(table)
    if mapping.id_field is None:
        err.print(
            printable(f"no column has ids: {mapping.id_prefix}-1, {mapping.id_prefix}-2 … by the number of the row")
        )
    for row in rows[:ROWS_SHOWN]:
        err.print(printable(f"  row {row.number}: {understood(mapping.item(row))}"), style="dim")
    err.print(printable(f"collection: {collection}"))
    if mapping.doubt:
        err.print(printable(mapping.doubt), style="yellow")


def _role(name: str, mapping: ItemMapping) -> str:
    roles = {
        "id": name == mapping.id_field,
        "text": name in mapping.text_fields,
        "time": name == mapping.timestamp_field,
        "attribute": name in mapping.attributes,
    }
    return next((role for role, is_it in roles.items() if is_it), "-")
