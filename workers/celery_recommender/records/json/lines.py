"""JSON: one object on each line, a list of objects, or objects one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from celery_recommender.records.input.byte_input import MAX_LINE_CHARS, ByteInput, Lines, UnreadableLineError
from celery_recommender.records.input.dialect import Dialect
from celery_recommender.records.input.formats import RecordFormat
from celery_recommender.records.json.text import left_out, read_object, too_long
from celery_recommender.records.json.values import Values, shape_of
from celery_recommender.records.json.wrappers import rows_inside
from celery_recommender.records.rows import BadRow, Progress, Row
from celery_recommender.records.values.text import to_json
from recommender_engine.errors import ConfigurationError


class JsonSource:
    """Rows of a JSON file; each may have keys of its own."""

    typed = True
    columns = None

    def __init__(self, data: ByteInput, file_format: RecordFormat) -> None:
        self._data = data
        head = data.decoded_head()
        self._shape = shape_of(head, deep=file_format is RecordFormat.JSON)
        self._lines = data.lines(newline="\n")
        self.dialect = Dialect(
            format=file_format,
            encoding=data.encoding,
            line_end="\r\n" if "\r\n" in head else "\n",
            array=self._shape.array,
            wrapper=self._shape.wrapper,
        )

    @property
    def progress(self) -> Progress:
        """Bytes read until now."""
        return self._data.progress

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows, once.

        Raises:
            ConfigurationError: the file is one object that is no row, and holds rows deeper than where they are looked
                for.
        """
        rows = self._of_lines() if self._shape.lines else self._of_values()
        for row in rows:
            if row.number == 1 and isinstance(row, Row) and self.dialect.format is RecordFormat.JSON:
                yield from self._unless_rows_inside(row, rows)
            else:
                yield row

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _unless_rows_inside(self, first: Row, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        where = None if self._shape.wrapper else rows_inside(first.values)
        second = None if where is None else next(rows, None)
        if where is not None and second is None:
            raise ConfigurationError(
                f"the file is one JSON object, with its rows under {where}: write them to a file of their own, as a"
                " list of objects; --format jsonl takes the whole object for one row"
            )
        yield first
        if second is not None:
            yield second

    def _of_lines(self) -> Iterator[Row | BadRow]:
        number = 0
        while True:
            try:
                line = next(self._lines)
            except StopIteration:
                return
            except UnreadableLineError as error:
                number += 1
                yield too_long(number, f"line {self._lines.number}", error.beginning, error)
                continue
            if not line.isspace():
                number += 1
                yield read_object(number, f"line {self._lines.number}", line.lstrip("\ufeff\x1e"))

    def _of_values(self) -> Iterator[Row | BadRow]:
        for number, value in enumerate(Values(_Pieces(self._lines), self._shape), 1):
            where = f"line {value.line}"
            if value.behind:
                yield left_out(number, f"{where}: behind the object with the rows, and not read", value.text)
            elif value.too_long:
                yield too_long(number, where, value.text, f"longer than {MAX_LINE_CHARS} characters")
            else:
                yield read_object(number, where, value.text)


class _Pieces:
    """Lines, or pieces of them, with their encoding seen to."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def readline(self, size: int) -> str:
        """Up to the end of a line, or a number of characters."""
        return self._lines.piece(size)


class JsonSink:
    """Writes objects, each with its own keys in its own order: on lines, or as a list."""

    def __init__(self, text: TextIO, dialect: Dialect) -> None:
        self._text = text
        self._end = dialect.line_end
        self._array = dialect.array
        self._wrapper = dialect.wrapper
        self._rows = 0

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one row."""
        text = to_json(dict(values))
        self._text.write(self._before() + text if self._array else text + self._end)
        self._rows += 1

    def finish(self) -> None:
        """Close the list."""
        if self._array:
            opened = "" if self._rows else self._before()
            closing = "]" + "}" * len(self._wrapper)
            self._text.write(opened + self._end + closing + self._end)

    def discard(self) -> None:
        """Nothing is held back."""

    def _before(self) -> str:
        if self._rows:
            return "," + self._end
        return "".join(f"{{{to_json(name)}: " for name in self._wrapper) + "[" + self._end
