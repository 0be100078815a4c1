"""Files of interactions: which column is what, and each row as the data of ``interaction.recorded``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from celery_recommender.cli.common import err, printable
from celery_recommender.cli.input.mapping_options import ROWS_SHOWN, FileOptions
from celery_recommender.records import BadRow, ItemRow, RecordReader
from celery_recommender.records.interactions import DEFAULT_KIND, FileInteraction, InteractionMapping
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import RecordInteraction
from recommender_engine.items.commands import validate


def _columns(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Columns by field, from ``FIELD=COLUMN``."""
    found = {}
    for value in values:
        field, equals, column = value.partition("=")
        if not (field and equals and column):
            raise click.BadParameter(f"{value!r} is not FIELD=COLUMN")
        found[field.strip()] = column.strip()
    return found


interaction_field = click.option(
    "named",
    "--interaction-field",
    callback=_columns,
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Column of interactions that holds `user`, `session`, `item`, `kind`, `value` or `time`; repeatable.",
)
"""The option that names columns."""


def interaction_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as ``named`` and ``kind``."""
    option = click.option(
        "--kind", default=DEFAULT_KIND, show_default=True, help="Kind of interactions whose row says none."
    )
    return interaction_field(option(function))


def interaction_rows(reader: RecordReader, mapping: InteractionMapping, collection: str) -> Iterator[ItemRow]:
    """The rows of a file, each with the data of its command or what is wrong with it."""
    for row in reader:
        one = row if isinstance(row, BadRow) else mapping.read(row)
        if isinstance(one, BadRow):
            yield ItemRow(row, one)
            continue
        data = _data(one, collection)
        try:
            validate(RecordInteraction, data)
        except InvalidCommand as error:
            yield ItemRow(row, BadRow(row.number, f"{error.code}: {error}", error.code))
        else:
            yield ItemRow(row, data)


def agree_on_interactions(
    reader: RecordReader, mapping: InteractionMapping, given: FileOptions, *, from_input: bool
) -> None:
    """Show which column is what, with the first rows; on a terminal, ask where that was guessed.

    Args:
        from_input: whether the file itself comes from standard input, so that no one can answer.

    Raises:
        Abort: the answer is no.
    """
    err.print(printable(reader.dialect.describe()), style="dim")
    for note in mapping.notes:
        err.print(printable(note), style="dim")
    for row in reader.sample(waiting=False)[:ROWS_SHOWN] if mapping.guessed else ():
        one = mapping.read(row)
        said = one.error if isinstance(one, BadRow) else _shown(one)
        err.print(printable(f"  row {row.number}: {said}"), style="dim")
    if mapping.guessed and not given.yes and not from_input and sys.stdin.isatty() and err.is_terminal:
        click.confirm("These columns are not all named by options. Go on?", abort=True, err=True)


def _data(one: FileInteraction, collection: str) -> dict[str, Any]:
    given = {"user": one.user, "session": one.session, "value": one.value}
    present = {name: value for name, value in given.items() if value is not None}
    return {"collection": collection, "item": one.item, "kind": one.kind, "time": one.at.isoformat(), **present}


def _shown(one: FileInteraction) -> str:
    return f"{one.user or one.session}  {one.kind}  {one.item}  {one.at.isoformat()}"
