"""Options that say what a file is and which column is what; shared by all commands that read one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from celery_recommender.cli.common import err, load_settings, printable
from celery_recommender.records import (
    BadRow,
    ItemMapping,
    MappingOptions,
    OnRepeat,
    ReadOptions,
    RecordFormat,
    RecordReader,
    open_records,
    resolve_mapping,
)
from celery_recommender.texts import compared_parts
from recommender_engine.errors import ConfigurationError

ROWS_SHOWN = 3
_CHARACTERS_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """Options about a file.

    Attributes:
        mapping: which column is what, and how cells are to be read.
        file_format: by the name of the file if ``None``.
        reading: encoding and sheet.
        on_repeat: what becomes of a row whose id an earlier one has.
        yes: whether to go on without asking, whatever was guessed.
    """

    mapping: MappingOptions = MappingOptions()  # noqa: RUF009
    file_format: RecordFormat | None = None
    reading: ReadOptions = ReadOptions()  # noqa: RUF009
    on_repeat: OnRepeat = OnRepeat.ERROR
    yes: bool = False

    @property
    def collection(self) -> str:
        """The collection of the items."""
        return self.mapping.collection or "default"

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes other items of the same file."""
        return (self.mapping, self.file_format, self.reading, self.on_repeat)


_COLUMNS = (
    click.option("--id-field", metavar="COLUMN", help="Item id.  [default: `id` or similar, or the row number]"),
    click.option(
        "text_fields",
        "--text-field",
        metavar="COLUMN",
        multiple=True,
        help="Text to compare; repeat for named fields.  [default: `text`, `title` and `description`, or similar]",
    ),
    click.option(
        "attributes", "--attribute", metavar="COLUMN", multiple=True, help="Attribute of the item; repeatable."
    ),
    click.option("--timestamp-field", metavar="COLUMN", help="Creation time of the item."),
    click.option("--collection", default="default", show_default=True, help="Collection: the items that are compared."),
)
_FILE = (
    click.option(
        "file_format",
        "--format",
        type=click.Choice([one.value for one in RecordFormat]),
        help="[default: by file name]",
    ),
    click.option("--encoding", metavar="NAME", help="Of a text file.  [default: detected and shown]"),
    click.option("--sheet", metavar="NAME", help="Name or number of a workbook sheet.  [default: the first]"),
)
_CELLS = (
    click.option("order", "--day-first", flag_value="day", help="3/4/2025 is in April."),
    click.option("order", "--month-first", flag_value="month", help="3/4/2025 is in March."),
    click.option("--excel-dates", is_flag=True, help="Numbers are dates: spreadsheet days since 1900."),
    click.option(
        "--decimal",
        type=click.Choice(["point", "comma"]),
        help="Decimal sign in 1.299 and 1,299.  [default: by the column]",
    ),
    click.option(
        "placeholders",
        "--placeholder",
        metavar="WORD",
        multiple=True,
        help="Text that counts as empty, like N/A; repeatable.",
    ),
    click.option("--no-placeholders", is_flag=True, help="N/A, NULL, - … are texts."),
)
_ROWS = (
    click.option(
        "--on-repeat",
        type=click.Choice([one.value for one in OnRepeat]),
        default=OnRepeat.ERROR.value,
        show_default=True,
        help="Row with the id of an earlier one: report and skip, replace, or rename to ID-2, ID-3 …",
    ),
    click.option("--yes", is_flag=True, help="Accept the guessed columns without asking."),
)


def mapping_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as ``given``."""

    @functools.wraps(function)
    def command(
        *args: Any,
        file_format: str | None,
        encoding: str | None,
        sheet: str | None,
        order: Any,
        decimal: Any,
        no_placeholders: bool,
        on_repeat: str,
        yes: bool,
        **kwargs: Any,
    ) -> Any:
        names = (
            "id_field",
            "text_fields",
            "attributes",
            "timestamp_field",
            "collection",
            "excel_dates",
            "placeholders",
        )
        mapping = MappingOptions(
            date_order=order,
            decimal=decimal,
            known_placeholders=not no_placeholders,
            **{name: kwargs.pop(name) for name in names},
        )
        given = FileOptions(
            mapping=mapping,
            file_format=None if file_format is None else RecordFormat(file_format),
            reading=ReadOptions(encoding=encoding, sheet=sheet),
            on_repeat=OnRepeat(on_repeat),
            yes=yes,
        )
        return function(*args, given=given, **kwargs)

    decorated: Callable[..., Any] = command
    for option in reversed((*_COLUMNS, *_FILE, *_CELLS, *_ROWS)):
        decorated = option(decorated)
    return decorated


@contextmanager
def opened(file: str, given: FileOptions) -> Iterator[tuple[RecordReader, ItemMapping]]:
    """The rows of a file, and what to make of them."""
    with open_records(file, given.file_format, options=given.reading) as reader:
        yield reader, resolve_mapping(reader, given.mapping)


def print_notes(reader: RecordReader, mapping: ItemMapping, *, doubt: bool = True) -> None:
    """Say how the file is read and what was guessed, with the first rows as they are understood.

    Args:
        doubt: whether to say why the guess may be wrong.
    """
    err.print(printable(reader.dialect.describe()), style="dim")
    for note in mapping.notes:
        err.print(printable(note), style="dim")
    if mapping.guessed:
        for row in reader.sample(waiting=False)[:ROWS_SHOWN]:
            err.print(printable(f"  row {row.number}: {understood(mapping.item(row))}"), style="dim")
    if doubt and mapping.doubt:
        err.print(printable(mapping.doubt), style="yellow")


def agree(reader: RecordReader, mapping: ItemMapping, given: FileOptions, *, from_input: bool) -> None:
    """Show what was guessed before anything is sent; on a terminal, ask.

    Args:
        from_input: whether the file itself comes from standard input, so that no one can answer.

    Raises:
        ConfigurationError: the guess is in doubt and there is no terminal.
        Abort: the answer is no.
    """
    print_notes(reader, mapping, doubt=given.yes)
    if given.yes or not mapping.guessed:
        return
    if sys.stdin.isatty() and err.is_terminal and not from_input:
        click.confirm(f"{mapping.doubt or 'These columns are not all named by options'}. Go on?", abort=True, err=True)
    elif mapping.doubt:
        raise ConfigurationError(f"{mapping.doubt}, or --yes to go on with this choice; nothing has been sent")


def estimated_rows(reader: RecordReader, rows: int) -> float | None:
    """How many rows there are, from how far ``rows`` of them have brought us; ``None`` where it is unknown."""
    progress = reader.progress
    if progress.total_hint is None or not progress.done:
        return None
    return max(float(rows), rows * progress.total_hint / progress.done)


def understood(item: dict[str, Any] | BadRow) -> str:
    """A row as it is understood, for people."""
    if isinstance(item, BadRow):
        return item.error
    parts = compared_parts(item, load_settings().message_rules)
    return "  ".join([item["id"], " | ".join(_short(part) for part in parts)])


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CHARACTERS_SHOWN else text[: _CHARACTERS_SHOWN - 1] + "…"
