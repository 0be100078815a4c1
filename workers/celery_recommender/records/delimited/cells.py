"""From lines to the cells of one record after the other, whatever holds them apart."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Final

from celery_recommender.records.input.dialect import Marks

Cell = str | None
"""The text of a cell; ``None`` where the file says that there is no value."""

Cells = list[Cell]

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a", "f": "\f", "v": "\v"}


def parser(marks: Marks, lines: Iterator[str]) -> Iterator[Cells]:
    """The records of some lines; a blank line is one without cells. Raises ``csv.Error`` for one, and can go on."""
    if marks.escaping:
        return _Escaped(marks, lines)
    if not marks.quote:
        return _Plain(marks, lines)
    # Strict, because a lenient parser silently glues together what a stray quote has torn apart.
    return csv.reader(  # type: ignore[return-value]
        lines, delimiter=marks.delimiter, quotechar=marks.quote, skipinitialspace=marks.blanks, strict=True
    )


def naive(marks: Marks, line: str) -> list[str]:
    """The cells of a line as if it held no quotes: what can be shown of one that is broken."""
    cells = line.strip("\r\n").split(marks.delimiter)
    return [cell.strip(" ") for cell in cells] if marks.blanks else cells


def padded(marks: Marks) -> Callable[[str], Cells | None]:
    """Reads a line with blanks around its quoted cells; ``None`` for a line that has more wrong with it."""
    quote, end = re.escape(marks.quote), re.escape(marks.delimiter)
    blank = "[ ]*+" if marks.delimiter == "\t" else r"[ \t]*+"
    cell = re.compile(rf"{blank}{quote}((?:[^{quote}]|{quote}{quote})*+){quote}{blank}(?={end}|$)|([^{end}{quote}]*+)")

    def read(line: str) -> Cells | None:
        text, at, cells = line.rstrip("\r\n"), 0, Cells()
        while (found := cell.match(text, at)) is not None:
            quoted = found[1]
            cells.append(found[2] if quoted is None else quoted.replace(marks.quote * 2, marks.quote))
            at = found.end()
            if at == len(text):
                return cells
            if not text.startswith(marks.delimiter, at):
                return None
            at += len(marks.delimiter)
        return None

    return read


class _Plain(Iterator[Cells]):
    """Quotes are characters like others; a line is a record."""

    def __init__(self, marks: Marks, lines: Iterator[str]) -> None:
        self._marks = marks
        self._lines = lines

    def __next__(self) -> Cells:
        line = next(self._lines).rstrip("\r\n")
        return list(naive(self._marks, line)) if line else []


class _Escaped(Iterator[Cells]):
    """A backslash takes the meaning from what follows, also from the end of a line; in quotes or without."""

    def __init__(self, marks: Marks, lines: Iterator[str]) -> None:
        quote, end = re.escape(marks.quote), re.escape(marks.delimiter)
        quoted = rf"{quote}((?:[^{quote}\\]|\\.|{quote}{quote})*+){quote}(?={end}|$)|" if marks.quote else "()(?!)|"
        self._cell = re.compile(rf"{quoted}((?:[^{end}\\]|\\.)*+)", re.DOTALL)
        self._marks = marks
        self._lines = lines

    def __next__(self) -> Cells:
        text = next(self._lines)
        while _ends_escaped(text) and (following := next(self._lines, None)) is not None:
            text += following
        if not text.strip("\r\n"):
            return []
        while (cells := self._cells(text.rstrip("\r\n"))) is None:
            text += self._up_to_a_quote()
        return cells

    def _up_to_a_quote(self) -> str:
        """The lines up to one with a quote, without which the cell that is open cannot end."""
        lines = []
        for line in self._lines:
            lines.append(line)
            if self._marks.quote in line:
                return "".join(lines)
        raise csv.Error("unexpected end of data")

    def _cells(self, text: str) -> Cells | None:
        """The cells, or ``None`` when a quote is still open."""
        at, cells = 0, Cells()
        quote = self._marks.quote
        while True:
            found = self._cell.match(text, at)
            if found is None:  # a lone backslash at the end
                raise csv.Error("a backslash without anything behind it")
            if found[1] is None and quote and found[2].startswith(quote):
                if found[2].count(quote) > 1:
                    raise csv.Error("text behind a closing quote")
                return None
            cells.append(self._meant(found[1], found[2]))
            at = found.end()
            if at == len(text):
                return cells
            at += len(self._marks.delimiter)

    def _meant(self, quoted: str | None, bare: str | None) -> Cell:
        if quoted is None and bare == "\\N":
            return None
        text = bare if quoted is None else quoted.replace(self._marks.quote * 2, self._marks.quote)
        return _ESCAPED.sub(lambda found: _MEANINGS.get(found[1], found[1]), text or "")


def escaped(text: str, marks: Marks) -> str:
    """The text as ``_Escaped`` reads it."""
    for char, name in (("\\", "\\"), ("\n", "n"), ("\r", "r"), ("\t", "t"), ("\0", "0")):
        text = text.replace(char, f"\\{name}")
    for char in {marks.delimiter, marks.quote} - {"", "\t"}:
        text = text.replace(char, f"\\{char}")
    return text


def _ends_escaped(line: str) -> bool:
    """Whether a backslash that is not escaped itself is before the end of the line."""
    bare = line.rstrip("\r\n")
    return bare != line and (len(bare) - len(bare.rstrip("\\"))) % 2 == 1
