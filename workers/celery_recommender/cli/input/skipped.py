"""Rows of labelled files that were skipped, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from celery_recommender.cli.common import out, printable
from celery_recommender.cli.input.labelled_files import FileRow

_BAD_ROWS_SHOWN = 10


def show_bad(bad: Sequence[FileRow], where: Console = out) -> None:
    """Rows that were skipped, the first of them in full."""
    for one in bad[:_BAD_ROWS_SHOWN]:
        where.print(printable(f"skipped {one.file}, row {one.row}: {one.error}"))
    if len(bad) > _BAD_ROWS_SHOWN:
        where.print(f"… and {len(bad) - _BAD_ROWS_SHOWN:,} more rows that were skipped")


def bad_rows(bad: Iterable[FileRow]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [{"file": one.file, "row": one.row, "error": one.error} for one in bad]
