"""A data frame read like a file: its columns are guessed, and its rows become items, in the same way."""

from __future__ import annotations

from collections.abc import Iterator

from celery_recommender.frames.libraries import Frame
from celery_recommender.records import BadRow, Dialect, MappingOptions, Progress, RecordFormat, RecordReader, Row
from celery_recommender.records.mapping import ItemMapping
from celery_recommender.records.resolving import resolve_mapping


class FrameSource:
    """The rows of a frame (``RowSource``)."""

    typed = True

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._done = 0

    @property
    def dialect(self) -> Dialect:
        """Of a format whose cells have types."""
        return Dialect(format=RecordFormat.PARQUET)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns."""
        return self._frame.columns

    @property
    def progress(self) -> Progress:
        """Rows read until now."""
        return Progress(self._done, None, "rows")

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows, once."""
        for values in self._frame.rows():
            self._done += 1
            yield Row(self._done, values)

    def close(self) -> None:
        """Nothing is open."""


def read_frame(frame: Frame, options: MappingOptions) -> tuple[RecordReader, ItemMapping]:
    """The rows of a frame, and what to make of them.

    Raises:
        ConfigurationError: a column is not there, or none holds text.
    """
    reader = RecordReader(FrameSource(frame), "frame")
    return reader, resolve_mapping(reader, options)
