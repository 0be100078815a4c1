"""CSV and TSV: RFC 4180 with a header row, in UTF-8; a CSV file may have semicolons, as spreadsheets write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TextIO

from recommender.errors import ConfigurationError
from workers.records.byte_input import MAX_LINE_CHARS, ByteInput, UnreadableLineError, is_utf8, readable
from workers.records.columns import distinct_columns, known_columns
from workers.records.dialect import Dialect
from workers.records.formats import RecordFormat
from workers.records.rows import BadRow, Fault, Progress, Row
from workers.records.values import to_text

_CONVERT = "(convert the file, for example with iconv -f WINDOWS-1252 -t UTF-8)"
_DELIMITERS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*(?:"|$)')


class DelimitedSource:
    """Rows of a CSV or TSV file; every value is text.

    Args:
        data: the file.
        delimiter: between columns; ``None`` takes the one that the header row has most of.

    Raises:
        ConfigurationError: the header cannot be read, is not UTF-8, or names a column twice.
    """

    typed = False

    def __init__(self, data: ByteInput, *, delimiter: str | None) -> None:
        # The limit is one for the whole process: raised at need, never lowered under somebody who needs more.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_CHARS))
        self._data = data
        self._lines = data.lines(newline="")
        first = self._first_line()
        # Strict, because a lenient parser silently glues together what a stray quote has torn apart.
        self._delimiter = delimiter or _delimiter(first)
        self._parser = csv.reader(chain([first], self._lines), delimiter=self._delimiter, strict=True)
        self.columns: tuple[str, ...] = self._header()
        self.dialect = Dialect(format=RecordFormat.CSV, delimiter=self._delimiter, header=self.columns)

    @property
    def progress(self) -> Progress:
        """Bytes read until now."""
        return self._data.progress

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows after the header, once."""
        number = 0
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._parser)
            except StopIteration:
                return
            except (csv.Error, UnreadableLineError) as error:
                number += 1
                yield BadRow(number, f"line {line}: {error}", Fault.QUOTE)
                continue
            if cells:  # a blank line is no row
                number += 1
                yield self._row(number, line, cells)

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _row(self, number: int, line: int, cells: list[str]) -> Row | BadRow:
        if len(cells) != len(self.columns):
            error = f"line {line}: {len(cells)} columns where the header has {len(self.columns)}"
            return BadRow(number, error, Fault.COLUMNS, self._own(cells))
        if not all(map(is_utf8, cells)):
            return BadRow(number, f"line {line}: not UTF-8 {_CONVERT}", Fault.ENCODING, self._own(cells))
        return Row(number, dict(zip(self.columns, cells, strict=True)))

    def _own(self, cells: list[str]) -> dict[str, str]:
        """The cells by column; what has none is joined to the last."""
        last = len(self.columns) - 1
        if len(cells) > len(self.columns) > 0:
            cells = [*cells[:last], self._delimiter.join(cells[last:])]
        return dict(zip(self.columns, map(readable, cells), strict=False))

    def _first_line(self) -> str:
        try:
            return next((line for line in self._lines if line.strip("\r\n")), "")
        except UnreadableLineError as error:
            raise ConfigurationError(f"the header row cannot be read: {error}") from error

    def _header(self) -> tuple[str, ...]:
        try:
            names = next((cells for cells in self._parser if cells), [])
        except (csv.Error, UnreadableLineError) as error:
            raise ConfigurationError(f"the header row cannot be read: {error}") from error
        if not all(map(is_utf8, names)):
            raise ConfigurationError(f"the header row is not UTF-8 {_CONVERT}")
        return distinct_columns(names)


def _delimiter(header: str) -> str:
    """What separates the columns of a header row: of two that are as frequent, the one that is more usual."""
    bare = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=bare.count)


class DelimitedSink:
    """Writes rows as CSV or TSV; nested values as JSON, nothing for ``None``."""

    def __init__(self, text: TextIO, columns: Sequence[str], *, delimiter: str) -> None:
        self._columns = tuple(columns)
        self._known = frozenset(columns)
        self._plain = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        # The writer quotes only the characters of its own line end, yet a bare carriage return ends a line too.
        self._quoted = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        if self._columns:
            # Whoever reads the file may tell the delimiter from its header, as we do: it shall not be misled.
            misleading = any(mark in name for name in self._columns for mark in _DELIMITERS)
            (self._quoted.writerow if misleading else self._write)(self._columns)

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one row; columns it lacks stay empty."""
        known_columns(values, self._known)
        self._write([to_text(values.get(name)) for name in self._columns])

    def finish(self) -> None:
        """Nothing is held back."""

    def discard(self) -> None:
        """Nothing is held back."""

    def _write(self, cells: Sequence[str]) -> None:
        writer = self._quoted if any("\r" in cell for cell in cells) else self._plain
        writer.writerow(cells)
