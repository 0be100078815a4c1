"""How a file writes its rows: found when it is read, so that another file can be written alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery_recommender.records.input.encodings import TextEncoding
from celery_recommender.records.input.formats import RecordFormat

_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "blanks"}

_UTF_8 = TextEncoding()


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters between the cells of a line.

    Attributes:
        delimiter: between cells.
        quote: around a cell that holds delimiters or line ends; empty where quotes are characters like others.
        escaping: whether a backslash takes the meaning from the character behind it, and ``\\N`` is no value.
        blanks: whether blanks behind a delimiter belong to nothing.
        nulls: whether ``\\N`` is written for a missing value.
    """

    delimiter: str = ","
    quote: str = '"'
    escaping: bool = False
    blanks: bool = False
    nulls: bool = False


_USUAL = Marks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one file is written; the defaults are those of a new file.

    Attributes:
        format: of the file.
        encoding: of its text.
        marks: of a delimited file.
        quote_all: whether every cell is in quotes.
        line_end: what ends a line.
        hint: whether ``sep=`` and the delimiter stand on the first line.
        preamble: lines above the header.
        header: the names of the columns as they stand in the file, with blanks, gaps and repeats.
        array: whether JSON values are in brackets, instead of one on each line.
        wrapper: the keys under which an object holds the list of the values.
        schema: the types of the columns of a Parquet file, as pyarrow holds them.
        sheet: the sheet of a workbook that was read.
    """

    format: RecordFormat
    encoding: TextEncoding = _UTF_8
    marks: Marks = _USUAL
    quote_all: bool = False
    line_end: str = "\n"
    hint: bool = False
    preamble: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    array: bool = False
    wrapper: tuple[str, ...] = ()
    schema: Any = None
    sheet: str | None = None

    def describe(self) -> str:
        """The findings, in one line: ``CSV, cp1252, separated by semicolons``."""
        return ", ".join([self.format.value.upper(), *self._text(), *self._cells(), *self._rest()])

    def _text(self) -> list[str]:
        if not self.format.is_text:
            return []
        one = self.encoding
        if one.other is None:
            text = one.name + (" with a byte order mark" if one.mark else "")
        elif one.written == one.other:
            text = one.other
        else:
            text = f"utf-8, and {one.other} in the lines that are not"
        if one.guessed:
            text += " (a guess: --encoding says which)"
        return [text if one.doubt is None else f"{text} ({one.doubt})"]

    def _cells(self) -> list[str]:
        if not self.format.is_delimited:
            return []
        parts = [f"separated by {_NAMES.get(self.marks.delimiter, repr(self.marks.delimiter))}"]
        if self.marks.quote != '"':
            parts.append(f"cells in {self.marks.quote}" if self.marks.quote else "quotes are characters")
        if self.marks.escaping:
            parts.append("backslashes escape")
        return parts

    def _rest(self) -> list[str]:
        parts = []
        if self.preamble:
            lines = len(self.preamble)
            parts.append(f"{lines} line{'' if lines == 1 else 's'} above the header left out")
        if self.wrapper:
            parts.append(f"the list under {'.'.join(self.wrapper)!r}")
        if self.sheet is not None:
            parts.append(f"sheet {self.sheet!r}")
        return parts
