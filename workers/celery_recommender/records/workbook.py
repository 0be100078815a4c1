"""Workbooks (``.xlsx``), through openpyxl. The only module that imports it: it comes with the extra ``excel``."""

from __future__ import annotations

import datetime as dt
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell

from celery_recommender.records.delimited.odd_rows import odd_row
from celery_recommender.records.delimited.repair import Record
from celery_recommender.records.delimited.sniffing import header_of
from celery_recommender.records.input.columns import column_names, known_columns
from celery_recommender.records.input.dialect import Dialect
from celery_recommender.records.input.formats import FilePath, ReadOptions, RecordFormat
from celery_recommender.records.rows import BadRow, Fault, Progress, Row
from celery_recommender.records.values.text import to_text
from recommender_engine.errors import ConfigurationError

MOST_TEXT_BYTES = 512 * 1024 * 1024
"""The texts of a workbook are held in memory; one that unpacks to more is refused."""

MOST_ROWS = 1_048_576
MOST_CELL_CHARS = 32_767
_EXACT = 10**15
_LOOKED_AT = 50
_BROKEN = Exception
"""Errors of a damaged workbook: zip, zlib, XML and openpyxl each have errors of their own, and none in common."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Cells = tuple[Any, ...]


def open_source(path: FilePath, options: ReadOptions) -> WorkbookSource:
    """The rows of a sheet."""
    return WorkbookSource(path, options.sheet)


def open_sink(path: Path, columns: Sequence[str], dialect: Dialect) -> WorkbookSink:
    """Writes rows to a new workbook."""
    return WorkbookSink(path, columns, dialect)


class WorkbookSource:
    """Rows of one sheet: numbers, texts, truth values, dates and times; formulas by the value that was saved last.

    Args:
        path: the workbook.
        sheet: its name, or its number from 1; the first that is visible if ``None``.

    Raises:
        ConfigurationError: no workbook, no such sheet, or too large to be held.
    """

    typed = True

    def __init__(self, path: FilePath, sheet: str | None) -> None:
        self._name = os.fspath(path)
        self._book = _opened(path)
        try:
            self._sheet = _chosen(self._book, sheet, self._name)
            self._sheet.reset_dimensions()  # what a sheet says of its size is often wrong
            cells = enumerate(self._sheet.iter_rows(values_only=True), 1)
            first = list(islice(cells, _LOOKED_AT))
        except ConfigurationError:
            self.close()
            raise
        except _BROKEN as error:
            self.close()
            raise ConfigurationError(f"{self._name} is a damaged workbook: {error}") from error
        filled = [(line, _shortened(row)) for line, row in first if any(cell is not None for cell in row)]
        at = header_of(
            [Record(line, [None if cell is None else to_text(cell) for cell in row]) for line, row in filled]
        )
        header = tuple(to_text(cell) for cell in filled[at][1]) if filled else ()
        self.columns: tuple[str, ...] = column_names(header)
        self._names = [name.strip() for name in header]
        self._cells = chain(filled[at + 1 :], cells)
        self._done = 0
        self.dialect = Dialect(format=RecordFormat.XLSX, header=header, sheet=self._sheet.title)

    @property
    def progress(self) -> Progress:
        """Rows read until now; how many there are, a sheet does not say."""
        return Progress(self._done, None, "rows")

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows below the header, once; empty ones are none."""
        number = 0
        try:
            for line, cells in self._cells:
                self._done = line
                row = _shortened(cells)
                if row:
                    number += 1
                    yield self._row(number, line, row)
        except _BROKEN as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._book.close()

    def _row(self, number: int, line: int, row: Cells) -> Row | BadRow:
        width = len(self.columns)
        values = dict(zip(self.columns, map(_plain, row + (None,) * (width - len(row))), strict=False))
        if len(row) > width:
            if width:
                values[self.columns[-1]] = ", ".join(to_text(cell) for cell in row[width - 1 :])
            return BadRow(number, f"row {line}: {len(row)} columns where the header has {width}", Fault.COLUMNS, values)
        if width > 1 and [to_text(cell).strip() for cell in row] == self._names:
            return BadRow(number, f"row {line}: the header row once more", Fault.HEADER, values)
        if (odd := odd_row([to_text(cell) for cell in values.values()], first=number == 1)) is not None:
            return BadRow(number, f"row {line}: {odd[1]}", odd[0], values)
        return Row(number, values)


class WorkbookSink:
    """Writes rows as a sheet; nested values as JSON, and what a workbook cannot hold as text."""

    def __init__(self, path: Path, columns: Sequence[str], dialect: Dialect) -> None:
        self._path = path
        self._columns = tuple(columns)
        self._known = frozenset(columns)
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet(dialect.sheet)
        self._rows = 0
        given = dict(zip(column_names(dialect.header), dialect.header, strict=True))
        self._append([given.get(name, name) for name in self._columns])

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one row; columns it lacks stay empty."""
        known_columns(values, self._known)
        self._append([values.get(name) for name in self._columns])

    def finish(self) -> None:
        """Write the file."""
        self._book.save(self._path)

    def discard(self) -> None:
        """Write what there is, so that openpyxl's temporary files go."""
        self._book.save(self._path)

    def _append(self, values: Sequence[Any]) -> None:
        self._rows += 1
        if self._rows > MOST_ROWS:
            raise ConfigurationError(f"a sheet holds {MOST_ROWS:,} rows: give OUT a name that ends in .csv")
        self._sheet.append([self._cell(value) for value in values])

    def _cell(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float) and abs(value) < _EXACT:
            return value
        if isinstance(value, dt.date) and not (isinstance(value, dt.datetime) and value.tzinfo) and value.year >= 1900:
            return value
        text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", to_text(value))
        if len(text) > MOST_CELL_CHARS:
            raise ConfigurationError(
                f"row {self._rows}: {len(text):,} characters, where a cell of a workbook holds {MOST_CELL_CHARS:,}: "
                "give OUT a name that ends in .csv"
            )
        cell = WriteOnlyCell(self._sheet, text)
        cell.data_type = "s"  # a text that begins with = is no formula
        return cell


def _opened(path: FilePath) -> Any:
    name = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive:
            texts = sum(one.file_size for one in archive.infolist() if one.filename.endswith("sharedStrings.xml"))
        if texts > MOST_TEXT_BYTES:
            raise ConfigurationError(f"{name} unpacks to {texts:,} bytes of text: save it as CSV")
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except ConfigurationError:
        raise
    except zipfile.BadZipFile as error:
        raise ConfigurationError(
            f"{name} is no workbook, or one with a password: save it as .xlsx or as CSV"
        ) from error
    except _BROKEN as error:
        raise ConfigurationError(f"cannot read {name} as a workbook: {error}") from error


def _chosen(book: Any, sheet: str | None, name: str) -> Any:
    sheets = book.worksheets
    titles = ", ".join(repr(one.title) for one in sheets)
    if sheet is None:
        if not sheets:
            raise ConfigurationError(f"{name} has no sheet with cells")
        return next((one for one in sheets if one.sheet_state == "visible"), sheets[0])
    found = next((one for one in sheets if one.title == sheet), None)
    if found is None and sheet.isdecimal() and 1 <= int(sheet) <= len(sheets):
        found = sheets[int(sheet) - 1]
    if found is None:
        raise ConfigurationError(f"{name} has no sheet {sheet!r}; there are {titles}")
    return found


def _shortened(row: Cells) -> Cells:
    """The cells up to the last that holds something."""
    end = len(row)
    while end and (row[end - 1] is None or row[end - 1] == ""):
        end -= 1
    return row[:end]


def _plain(value: Any) -> Any:
    """A date where no time was meant: a workbook knows only moments."""
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date()
    return value
