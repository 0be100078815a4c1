"""Writing record files of any format, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self

from celery_recommender.records.delimited.sink import DelimitedSink
from celery_recommender.records.extras import load_format
from celery_recommender.records.input.columns import distinct_columns
from celery_recommender.records.input.dialect import Dialect, Marks
from celery_recommender.records.input.formats import FilePath, RecordFormat, choose_format, is_standard_input
from celery_recommender.records.json.lines import JsonSink
from celery_recommender.records.output import AtomicFile, TextOutput
from recommender_engine.errors import ConfigurationError


class RowSink(Protocol):
    """Turns rows into one format."""

    def write(self, values: Mapping[str, Any]) -> None:
        """Take one row."""

    def finish(self) -> None:
        """Write what is held back."""

    def discard(self) -> None:
        """Forget what is held back."""


class RecordWriter:
    """Writes rows; the file appears when the writer is closed, and not at all when it is abandoned.

    As a context manager it is closed at the end of the block and abandoned when an exception leaves the block.
    """

    def __init__(self, target: AtomicFile, sink: RowSink, output: TextOutput | None = None) -> None:
        self._target = target
        self._sink = sink
        self._output = output

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one row, by column name.

        Raises:
            ConfigurationError: the row has a column that was not announced, or the disk takes no more.
        """
        try:
            self._sink.write(values)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Finish the file and put it in its place.

        Raises:
            ConfigurationError: the disk takes no more; then nothing is left behind.
        """
        try:
            self._sink.finish()
            if self._output is not None:
                self._output.close()
            self._target.commit()
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def abandon(self) -> None:
        """Remove what was written; a file that was there before stays as it was."""
        with suppress(OSError, ValueError):  # a full disk must not hide the error that brought us here
            self._sink.discard()
            if self._output is not None:
                self._output.close()
        self._target.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _failed(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"cannot write {self._target.path}: {error.strerror or error}")


def open_writer(
    path: FilePath,
    columns: Sequence[str],
    added: Sequence[str] = (),
    *,
    file_format: str | None = None,
    like: Dialect | None = None,
) -> RecordWriter:
    """Open a record file for writing.

    Args:
        path: the file; gzipped when its name ends in ``.gz``.
        columns: those of the input, in its order; see ``scan_columns``. JSONL needs none: its rows keep their own.
        added: further columns, written after those; one of the input with the same name is overwritten in its place.
        file_format: a `RecordFormat`; ``None`` takes it from the name of the file.
        like: the dialect of a file that was read: one of the same format is written alike.

    Raises:
        ConfigurationError: format unknown, place not writable, a column named twice, or pyarrow missing.
    """
    if is_standard_input(path):
        raise ConfigurationError("the output needs a file of its own, so that it is whole or not there")
    chosen = choose_format(path, file_format)
    names = distinct_columns(columns) + tuple(name for name in distinct_columns(added) if name not in columns)
    dialect = _written(chosen, like)
    if not chosen.is_text:
        module = load_format(chosen)  # first: a library that is missing leaves no file behind
        target = AtomicFile(path)
        return RecordWriter(target, module.open_sink(target.part, names, dialect))
    target = AtomicFile(path)
    output = TextOutput(target, dialect.encoding)
    if chosen.is_json:
        return RecordWriter(target, JsonSink(output.text, dialect), output)
    return RecordWriter(target, DelimitedSink(output.text, names, dialect), output)


def _written(chosen: RecordFormat, like: Dialect | None) -> Dialect:
    """The dialect to write: that of the file that was read, as far as it goes with the format."""
    usual = Marks("\t") if chosen is RecordFormat.TSV else Marks()
    if like is None or not (chosen.is_text and like.format.is_text):
        kept = like if like is not None and like.format is chosen else None
        return kept or Dialect(format=chosen, marks=usual, array=chosen is RecordFormat.JSON)
    if like.format is chosen:
        return like
    if chosen.is_delimited and like.format.is_delimited:
        return replace(like, format=chosen, marks=replace(like.marks, delimiter=usual.delimiter), hint=False)
    return Dialect(
        format=chosen,
        encoding=like.encoding,
        line_end=like.line_end,
        marks=usual,
        array=chosen is RecordFormat.JSON,
    )
