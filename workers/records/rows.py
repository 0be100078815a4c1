"""What reading a record file gives: rows, rows that could not be read, and how far one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One record.

    Attributes:
        number: 1 for the first data row; unreadable rows count, blank lines and the header do not.
        values: by column name, in the order of the file. Text only from CSV and TSV, typed from JSONL and Parquet.
    """

    number: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that cannot be used, while those around it can.

    Attributes:
        number: as in ``Row``.
        error: a sentence for people; it never quotes the text of the record.
    """

    number: int
    error: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a file has been read.

    Attributes:
        done: bytes (on disk, so before decompression) or rows read until now.
        total_hint: how many there are in all; ``None`` where nobody can know, as on standard input.
        unit: what is counted.
    """

    done: int
    total_hint: int | None
    unit: Literal["bytes", "rows"]
