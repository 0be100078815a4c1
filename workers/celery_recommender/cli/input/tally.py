"""Counts of the rows of a file by outcome, to be checked against the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from celery_recommender.cli.common import out, printable
from celery_recommender.records import BadRow, ItemRow, NoItem, OnRepeat

EXIT_SOME_FAILED = 3
"""Some rows succeeded and some did not."""

_BAD_ROWS_KEPT, _BAD_ROWS_SHOWN = 10_000, 10
_EMPTY = (NoItem.NO_TEXT, NoItem.CONTINUES)


@dataclass(slots=True)
class Seen:
    """Rows of one kind.

    Attributes:
        rows: how many.
        first_row: number of the first.
        example: the message on that one.
    """

    rows: int
    first_row: int
    example: str


@dataclass(slots=True)
class Tally:
    """Counts rows.

    Attributes:
        on_repeat: what becomes of a row whose id has been there.
        noun: what a row is.
        rows: read, the unusable ones included.
        accepted: rows that are items.
        repeated: rows whose id an earlier row has.
        errors: by kind, rows that are no items, and rows that were rejected.
        findings: by kind, what is odd in rows that are items.
        bad: rows that are no items, the first ten thousand.
        replaced: by number of a row that a later one has replaced, the number of that one.
    """

    on_repeat: OnRepeat = OnRepeat.ERROR
    noun: str = "item"
    rows: int = 0
    accepted: int = 0
    repeated: int = 0
    first_repeated: int = 0
    errors: dict[str, Seen] = field(default_factory=dict)
    findings: dict[str, Seen] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    replaced: dict[int, int] = field(default_factory=dict)

    def add(self, one: ItemRow) -> None:
        """A row has been read."""
        self.rows += 1
        if one.repeats is not None:
            self.repeated += 1
            self.first_repeated = self.first_repeated or one.row.number
        if isinstance(one.item, BadRow):
            self.fail(one.item)
            if len(self.bad) < _BAD_ROWS_KEPT:
                self.bad.append(one.item)
            return
        self.accepted += 1
        for remark in one.remarks:
            _count(self.findings, remark.kind, one.row.number, remark.text)

    def fail(self, bad: BadRow) -> None:
        """A row has failed: it is no item, or was rejected."""
        _count(self.errors, str(bad.kind), bad.number, bad.error)

    def reject(self, bad: BadRow) -> None:
        """A row that was an item has been rejected."""
        self.accepted -= 1
        self.fail(bad)

    @property
    def items(self) -> int:
        """Items, each id once."""
        return self.accepted - (self.repeated if self.on_repeat is OnRepeat.LAST else 0)

    @property
    def failed(self) -> int:
        """Rows that came to nothing."""
        return sum(seen.rows for seen in self.errors.values())

    @property
    def empty_texts(self) -> int:
        """Rows without a text."""
        return sum(self.errors[kind].rows for kind in _EMPTY if kind in self.errors)

    @property
    def exit_code(self) -> int:
        """0 when every row succeeded, 3 when some did, 1 when none did or there was none."""
        return exit_code(self.accepted, self.failed)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        about_items = {"repeated_ids": self.repeated, "empty_texts": self.empty_texts}
        return {
            "rows": self.rows,
            f"{self.noun}s": self.items,
            "failed": self.failed,
            **(about_items if self.noun == "item" else {}),
            "errors_by_kind": _plain(self.errors),
            "findings": _plain(self.findings),
        }

    def lines(self) -> list[str]:
        """For people: a line that adds up, and one for each kind of error and finding."""
        repeats = f"{self.repeated:,} repeated ids"
        if self.repeated:
            repeats += f" (first in row {self.first_repeated:,}; {_TAKEN[self.on_repeat]})"
        first = f"{self.rows:,} rows read: {self.items:,} {self.noun}s, {self.failed:,} failed"
        return [
            f"{first}; {repeats}, {self.empty_texts:,} empty texts" if self.noun == "item" else first,
            *(f"  {kind:<26} {seen.rows:>8,}  {_first(seen)}" for kind, seen in self.errors.items()),
            *(f"  {kind:<26} {seen.rows:>8,}  {_first(seen)} (not an error)" for kind, seen in self.findings.items()),
        ]


def exit_code(succeeded: int, failed: int) -> int:
    """0 when every row succeeded, 3 when some did, 1 when none did or there was none."""
    if succeeded <= 0:
        return 1
    return EXIT_SOME_FAILED if failed else 0


def show(tally: Tally, where: Console = out) -> None:
    """Print the rows by outcome, and the first ones that failed."""
    for line in tally.lines():
        where.print(printable(line))
    for bad in tally.bad[:_BAD_ROWS_SHOWN]:
        where.print(printable(f"  row {bad.number}: {bad.error}"))
    if len(tally.bad) > _BAD_ROWS_SHOWN:
        where.print(f"  … and {len(tally.bad) - _BAD_ROWS_SHOWN:,} more rows that are no {tally.noun}s")


_TAKEN = {
    OnRepeat.ERROR: "left out: --on-repeat last or suffix takes them",
    OnRepeat.LAST: "each has replaced the earlier row",
    OnRepeat.SUFFIX: "each has got an id of its own",
}


def _count(kinds: dict[str, Seen], kind: str, row: int, text: str) -> None:
    seen = kinds.get(kind)
    if seen is None:
        kinds[kind] = Seen(1, row, text)
    else:
        seen.rows += 1
        if row < seen.first_row:
            seen.first_row, seen.example = row, text


def _plain(kinds: dict[str, Seen]) -> dict[str, Any]:
    return {
        str(kind): {"rows": seen.rows, "first_row": seen.first_row, "example": seen.example}
        for kind, seen in kinds.items()
    }


def _first(seen: Seen) -> str:
    return f"first in row {seen.first_row:,}: {seen.example}"
