"""JSON Lines: one JSON object on each line, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from workers.records.byte_input import ByteInput, UnreadableLineError, is_utf8, readable
from workers.records.dialect import Dialect
from workers.records.formats import RecordFormat
from workers.records.rows import UNREADABLE, BadRow, Fault, Progress, Row
from workers.records.values import to_json


class JsonLinesSource:
    """Rows of a JSON Lines file; each line may have keys of its own."""

    typed = True
    columns = None
    dialect = Dialect(format=RecordFormat.JSONL)

    def __init__(self, data: ByteInput) -> None:
        self._data = data
        self._lines = data.lines(newline="\n")

    @property
    def progress(self) -> Progress:
        """Bytes read until now."""
        return self._data.progress

    def rows(self) -> Iterator[Row | BadRow]:
        """One row for each line that is not blank, once."""
        number = 0
        while True:
            try:
                line = next(self._lines)
            except StopIteration:
                return
            except UnreadableLineError as error:
                number += 1
                yield BadRow(number, f"line {self._lines.number}: {error}", Fault.LENGTH)
                continue
            if not line.isspace():
                number += 1
                yield self._row(number, line)

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _row(self, number: int, line: str) -> Row | BadRow:
        try:
            return Row(number, _parse(line))
        except (ValueError, RecursionError) as error:
            return BadRow(number, f"line {self._lines.number}: {error}", Fault.JSON, {UNREADABLE: readable(line)})


class JsonLinesSink:
    """Writes rows as JSON Lines, each with its own keys in its own order."""

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one row."""
        self._text.write(to_json(dict(values)) + "\n")

    def finish(self) -> None:
        """Nothing is held back."""

    def discard(self) -> None:
        """Nothing is held back."""


def _parse(line: str) -> dict[str, Any]:
    if not is_utf8(line):
        raise ValueError("not UTF-8")
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    # An escape may name half of a surrogate pair: valid JSON, but no text that could ever be written again.
    if "\\ud" in line.lower() and not is_utf8(json.dumps(value, ensure_ascii=False)):
        raise ValueError("holds half of a surrogate pair")
    return value
