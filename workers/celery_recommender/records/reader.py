"""Reading record files of any format, as one stream of rows."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Protocol, Self

from celery_recommender.records.delimited.source import DelimitedSource
from celery_recommender.records.extras import load_format
from celery_recommender.records.input.byte_input import ByteInput
from celery_recommender.records.input.dialect import Dialect
from celery_recommender.records.input.formats import (
    AS_FOUND,
    FilePath,
    ReadOptions,
    RecordFormat,
    choose_format,
    file_stem,
    is_standard_input,
)
from celery_recommender.records.input.misnamed import no_table, something_else
from celery_recommender.records.json.lines import JsonSource
from celery_recommender.records.rows import BadRow, Progress, Row
from recommender_engine.errors import ConfigurationError

SAMPLE_RECORDS = 200

_DAMAGED = (OSError, EOFError, zlib.error)
"""Errors of the bytes of a broken file."""


class RowSource(Protocol):
    """An open file of one format."""

    typed: bool

    @property
    def dialect(self) -> Dialect:
        """How the file writes its rows."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """All columns, or ``None`` for a format that does not tell them beforehand."""

    @property
    def progress(self) -> Progress:
        """How much has been read."""

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows, once."""

    def close(self) -> None:
        """Close the file."""


class RecordReader(Iterator[Row | BadRow]):
    """The rows of one file, in order and once, in bounded memory. A context manager.

    Attributes:
        stem: name of the file without folder and endings; ``stdin`` for standard input.
        typed: whether values have types; ``False`` where all of them are text.
        columns: all columns; for JSON those of the first rows.
        first: the first readable row of the file, wherever the reading starts; ``None`` when there is none near the
            beginning.
        remark: on the file, to be shown before its rows are taken; may be empty.
    """

    def __init__(self, source: RowSource, path: FilePath, *, start_after: int = 0, remark: str = "") -> None:
        self._source = source
        self.remark = remark
        self._name = os.fspath(path)
        self._start_after = start_after
        self.stem = file_stem(path)
        self.typed = source.typed
        rows = self._rows()
        # A pipe may be typed by hand: wait there for no more than one row.
        self._live = is_standard_input(path)
        wanted = 1 if source.columns is not None or self._live else SAMPLE_RECORDS
        self._ahead = _sample(rows, wanted)
        self._rest = rows
        good = _good(self._ahead)
        self.first = good[0] if good else None
        keys = dict.fromkeys(key for row in good for key in row.values)
        self.columns = tuple(keys) if source.columns is None else source.columns
        self._records = self._all()

    def sample(self, *, waiting: bool) -> list[Row]:
        """The readable ones among the first rows of the file, wherever the reading starts; to be asked before reading.

        Args:
            waiting: whether to wait for many rows of a pipe too, and not only for the first.
        """
        if waiting or not self._live:
            self._ahead += islice(self._rest, max(0, SAMPLE_RECORDS - len(self._ahead)))
        return _good(self._ahead)

    @property
    def dialect(self) -> Dialect:
        """How the file writes its rows; for ``open_writer``, and for people: ``dialect.describe()``."""
        return self._source.dialect

    @property
    def progress(self) -> Progress:
        """How much has been read, and of how much."""
        return self._source.progress

    def __next__(self) -> Row | BadRow:
        for record in self._records:
            if record.number > self._start_after:
                return record
        raise StopIteration

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all(self) -> Iterator[Row | BadRow]:
        yield from self._ahead
        self._ahead = []
        yield from self._rest

    def _rows(self) -> Iterator[Row | BadRow]:
        number = 0
        try:
            for record in self._source.rows():
                number = record.number
                yield record
        except _DAMAGED as error:
            raise ConfigurationError(f"{self._name} is damaged or cut off after row {number}: {error}") from error


def open_records(
    path: FilePath, file_format: str | None = None, *, start_after: int = 0, options: ReadOptions = AS_FOUND
) -> RecordReader:
    """Open a record file, gzipped or not.

    Args:
        path: the file, or ``-`` for standard input.
        file_format: a `RecordFormat`; ``None`` takes it from the name of the file. A text file whose format is named is
            read as that, whatever it looks like.
        start_after: rows up to this number are left out, for going on after an interruption.
        options: encoding and sheet; what is left out is found out.

    Raises:
        ConfigurationError: format unknown, file unreadable or damaged (also while reading), header unusable, or
            pyarrow missing.
    """
    source, remark = _open_source(path, choose_format(path, file_format), options, named=file_format is not None)
    try:
        return RecordReader(source, path, start_after=start_after, remark=remark)
    except BaseException:
        source.close()
        raise


def scan_columns(path: FilePath, file_format: str | None = None, *, options: ReadOptions = AS_FOUND) -> tuple[str, ...]:
    """All columns of a file, in the order of their first appearance. JSON is read to the end for it.

    Raises:
        ConfigurationError: as ``open_records``, and for standard input, which can be read only once.
    """
    if is_standard_input(path):
        raise ConfigurationError(
            "the columns of standard input are not known before its end: write JSONL, or give a file"
        )
    with open_records(path, file_format, options=options) as reader:
        if not choose_format(path, file_format).is_json:
            return reader.columns
        return tuple(dict.fromkeys(key for record in reader for key in record.values))


def _open_source(path: FilePath, chosen: RecordFormat, options: ReadOptions, *, named: bool) -> tuple[RowSource, str]:
    """The rows and a remark; ``named``: --format names the format."""
    if not chosen.is_text:
        return load_format(chosen).open_source(path, options), ""
    data = None
    try:
        data = ByteInput(path, options.encoding)
        return _text_source(data, chosen, os.fspath(path), named=named)
    except _DAMAGED as error:
        raise ConfigurationError(f"{os.fspath(path)} is damaged or cut off: {error}") from error
    except ConfigurationError:
        if data is not None:
            data.close()
        raise


def _text_source(data: ByteInput, chosen: RecordFormat, name: str, *, named: bool) -> tuple[RowSource, str]:
    head = data.decoded_head()
    remark = _remark(name, something_else(head, chosen), chosen, named=named)
    if chosen.is_json:
        return JsonSource(data, chosen), remark
    source = DelimitedSource(data, chosen)
    if len(source.columns) == 1 and not remark:
        remark = _remark(name, no_table(head), chosen, named=named)
    return source, remark


def _remark(name: str, what: str | None, chosen: RecordFormat, *, named: bool) -> str:
    """The remark on a file that looks like another format; an error unless --format names the format."""
    if what is not None and not named:
        raise ConfigurationError(f"{name} is {what} (--format {chosen} reads it all the same)")
    return "" if what is None else f"it looks like {what}; read as {chosen}, as --format says"


def _sample(rows: Iterator[Row | BadRow], wanted: int) -> list[Row | BadRow]:
    sample: list[Row | BadRow] = []
    for record in islice(rows, SAMPLE_RECORDS):
        sample.append(record)
        wanted -= isinstance(record, Row)
        if not wanted:
            break
    return sample


def _good(records: Iterable[Row | BadRow]) -> list[Row]:
    return [record for record in records if isinstance(record, Row)]
