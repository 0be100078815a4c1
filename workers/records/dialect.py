"""How a file writes its rows: told when it is read, so that a file that goes with it can be written alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workers.records.formats import RecordFormat

UTF_8 = "utf-8"

_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "blanks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is particular about one file; the defaults are what is written when there is nothing to go by.

    Attributes:
        format: of the file.
        encoding: the codec of its text, by Python's name; without meaning for formats that are no text.
        other_encoding: of the lines that ``encoding`` cannot read, where a file mixes two.
        mark: whether it begins with a byte order mark.
        delimiter: between the cells of a line.
        quoting: whether quotes hold cells together; where not, they are characters like others.
        escaping: whether a backslash takes the meaning from the character behind it.
        line_end: what ends a line.
        hint: whether ``sep=`` and the delimiter stand on the first line.
        header: the names of the columns as they stand in the file, with blanks, gaps and repeats.
        layout: ``lines`` for one JSON value on each line, ``array`` for values in brackets.
        schema: the types of the columns of a Parquet file, as pyarrow holds them.
        sheet: the sheet of a workbook that was read.
    """

    format: RecordFormat
    encoding: str = UTF_8
    other_encoding: str | None = None
    mark: bool = False
    delimiter: str = ","
    quoting: bool = True
    escaping: bool = False
    line_end: str = "\n"
    hint: bool = False
    header: tuple[str, ...] = ()
    layout: str = "lines"
    schema: Any = None
    sheet: str | None = None

    def describe(self) -> str:
        """What was found, in a few words for people."""
        parts = [self.format.value.upper()]
        if self.format.is_text:
            parts.append(self.encoding + (" with a mark" if self.mark else ""))
        if self.other_encoding is not None:
            parts.append(f"some lines {self.other_encoding}")
        if self.format.is_delimited:
            parts.append(f"separated by {_NAMES.get(self.delimiter, repr(self.delimiter))}")
        if not self.quoting:
            parts.append("quotes are characters")
        if self.sheet is not None:
            parts.append(f"sheet {self.sheet!r}")
        return ", ".join(parts)
