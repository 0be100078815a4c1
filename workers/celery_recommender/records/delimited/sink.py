"""Writing delimited files, also in the dialect of one that was read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, TextIO

from celery_recommender.records.delimited.cells import escaped
from celery_recommender.records.delimited.sniffing import DELIMITERS
from celery_recommender.records.input.columns import column_names, known_columns
from celery_recommender.records.input.dialect import Dialect, Marks
from celery_recommender.records.values.text import to_text


class DelimitedSink:
    """Writes rows as delimited text; nested values as JSON, nothing for ``None``.

    Args:
        text: where to.
        columns: names of all columns.
        dialect: how. Its header goes before the names of the columns that it has.
    """

    def __init__(self, text: TextIO, columns: Sequence[str], dialect: Dialect) -> None:
        self._text = text
        self._columns = tuple(columns)
        self._known = frozenset(columns)
        self._end = dialect.line_end
        self._write = self._writer(dialect)
        if dialect.hint:
            text.write(f"sep={dialect.marks.delimiter}{self._end}")
        text.writelines(line + self._end for line in dialect.preamble)
        if self._columns:
            given = dict(zip(column_names(dialect.header), dialect.header, strict=True))
            self._write([given.get(name, name) for name in self._columns], header=True)

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one row; columns it lacks stay empty."""
        known_columns(values, self._known)
        self._write([values.get(name) for name in self._columns])

    def finish(self) -> None:
        """Nothing is held back."""

    def discard(self) -> None:
        """Nothing is held back."""

    def _writer(self, dialect: Dialect) -> Callable[..., None]:
        marks = dialect.marks
        if marks.escaping:
            return _Escaping(self._text, marks, self._end, len(dialect.header))
        if not marks.quote:
            return _Plain(self._text, marks, self._end)
        return _Quoting(self._text, marks, self._end, always=dialect.quote_all)


class _Quoting:
    """Cells that need it stand in quotes."""

    def __init__(self, text: TextIO, marks: Marks, end: str, *, always: bool) -> None:
        options = {"delimiter": marks.delimiter, "quotechar": marks.quote, "lineterminator": end}
        # The writer quotes only the characters of its own line end, yet the other ends a line too.
        self._quoted = csv.writer(text, quoting=csv.QUOTE_ALL, **options)  # type: ignore[arg-type]
        self._plain = self._quoted if always else csv.writer(text, **options)  # type: ignore[arg-type]

    def __call__(self, cells: Sequence[Any], *, header: bool = False) -> None:
        texts = [to_text(cell) for cell in cells]
        odd = any("\r" in text or "\n" in text or text.startswith(" ") for text in texts)
        if header and not odd:
            # A reader may tell the delimiter from the header, as we do: it shall not be misled.
            odd = any(mark in name for name in texts for mark in DELIMITERS)
        (self._quoted if odd else self._plain).writerow(texts)


class _Plain:
    """Quotes are characters: what would end a cell or a line becomes a blank."""

    def __init__(self, text: TextIO, marks: Marks, end: str) -> None:
        self._text = text
        self._delimiter = marks.delimiter
        self._end = end
        self._blanks = str.maketrans(dict.fromkeys((marks.delimiter, "\r", "\n"), " "))

    def __call__(self, cells: Sequence[Any], *, header: bool = False) -> None:
        self._text.write(self._delimiter.join(to_text(cell).translate(self._blanks) for cell in cells) + self._end)


class _Escaping:
    """Backslashes, and ``\\N`` for no value, as databases write them.

    A file that was read without ``\\N`` gets none in further columns; in its own columns no value came from it.
    """

    def __init__(self, text: TextIO, marks: Marks, end: str, own: int) -> None:
        self._text = text
        self._marks = marks
        self._end = end
        self._own = own

    def __call__(self, cells: Sequence[Any], *, header: bool = False) -> None:
        self._text.write(self._marks.delimiter.join(map(self._cell, cells, count())) + self._end)

    def _cell(self, value: Any, column: int) -> str:
        if value is None:
            return "\\N" if self._marks.nulls or column < self._own else ""
        text = escaped(to_text(value), self._marks)
        quote = self._marks.quote
        return f"{quote}{text}{quote}" if quote and text != to_text(value) else text
