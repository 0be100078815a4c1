"""Options that say which column is what; shared by all commands that read a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from workers.cli.common import err, printable
from workers.records import ItemMapping, MappingOptions, RecordFormat, RecordReader, open_records, resolve_mapping


def mapping_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets ``mapping`` and ``file_format``."""

    @click.option("--id-field", metavar="COLUMN", help="Ids.  [default: id, or the row number]")
    @click.option(
        "text_fields",
        "--text-field",
        metavar="COLUMN",
        multiple=True,
        help="What is compared; repeat it for named fields.  [default: text, or title and description, or the like]",
    )
    @click.option("attributes", "--attribute", metavar="COLUMN", multiple=True, help="Carried along; repeatable.")
    @click.option("--timestamp-field", metavar="COLUMN", help="When the item came into being.")
    @click.option("--collection", default="default", show_default=True, help="The set of items that are compared.")
    @click.option(
        "file_format",
        "--format",
        type=click.Choice([one.value for one in RecordFormat]),
        help="[default: by file name]",
    )
    @functools.wraps(function)
    def command(
        *args: Any,
        id_field: str | None,
        text_fields: tuple[str, ...],
        attributes: tuple[str, ...],
        timestamp_field: str | None,
        collection: str,
        **kwargs: Any,
    ) -> Any:
        mapping = MappingOptions(
            id_field=id_field,
            text_fields=text_fields,
            attributes=attributes,
            timestamp_field=timestamp_field,
            collection=collection,
        )
        return function(*args, mapping=mapping, **kwargs)

    return command


@contextmanager
def opened(
    file: str, options: MappingOptions, file_format: RecordFormat | None, *, start_after: int = 0
) -> Iterator[tuple[RecordReader, ItemMapping]]:
    """The rows of a file behind ``start_after``, and what to make of them."""
    with open_records(file, file_format, start_after=start_after) as reader:
        yield reader, resolve_mapping(reader, options)


def print_notes(mapping: ItemMapping) -> None:
    """Say what was guessed."""
    for note in mapping.notes:
        err.print(printable(note), style="dim")


def estimated_rows(reader: RecordReader, rows: int) -> float | None:
    """How many rows there are, from how far ``rows`` of them have brought us; ``None`` where nobody can know."""
    progress = reader.progress
    if progress.total_hint is None or not progress.done:
        return None
    return max(float(rows), rows * progress.total_hint / progress.done)
