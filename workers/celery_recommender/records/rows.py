"""Results of reading a record file: rows, rows that could not be read, and progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One record.

    Attributes:
        number: 1 for the first data row; unreadable rows count, blank lines and the header do not.
        values: by column name, in the order of the file. Text only from CSV and TSV, typed from the other formats.
    """

    number: int
    values: dict[str, Any]


class Fault(StrEnum):
    """The kind of error of a row that could not be read."""

    ENCODING = "encoding"
    QUOTE = "quote"
    COLUMNS = "columns"
    HEADER = "header"
    TOTALS = "totals"
    LENGTH = "length"
    JSON = "json"
    VALUE = "value"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that cannot be used, while those around it can.

    Attributes:
        number: as in ``Row``.
        error: a sentence for people; it never quotes the text of the record.
        kind: what is wrong, in one word; of what was read, a ``Fault``.
        values: the record's own cells by column name, as far as they can be separated. What has no column is joined to
            the last one, or is under ``UNREADABLE`` where a format has no columns.
    """

    number: int
    error: str
    kind: str = Fault.ITEM
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)


UNREADABLE = "unreadable"
"""The column that holds the text of a record that is no JSON."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a file has been read.

    Attributes:
        done: bytes (on disk, so before decompression) or rows read until now.
        total_hint: how many there are in all; ``None`` where it is unknown, as on standard input.
        unit: what is counted.
    """

    done: int
    total_hint: int | None
    unit: Literal["bytes", "rows"]
