"""Records out of lines, where an open quote costs its own line and not those behind it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from celery_recommender.records.delimited.cells import Cells, naive, padded, parser
from celery_recommender.records.input.byte_input import MAX_LINE_CHARS, UnreadableLineError
from celery_recommender.records.input.dialect import Marks
from celery_recommender.records.rows import Fault

MOST_LINES = 10_000
"""A record that runs over more lines has a quote that is not closed."""

_ALIKE = 20
"""So many whole records in a row inside of one cell: they are records, and the quote before them is not closed."""

_FEW_ALIKE = 3
_MOST_LINES_OF_ONE_COLUMN = 200
END = "\\."
"""A line of this ends the rows of a COPY of PostgreSQL's."""

_STRAY = "a quote that is not closed, or with text behind it"


@dataclass(frozen=True, slots=True)
class Record:
    """The text between two line ends that count.

    Attributes:
        line: number of its first line, from 1.
        cells: of it; none for a blank line.
        fault: what is wrong with it.
        error: the same for people.
    """

    line: int
    cells: Cells
    fault: Fault | None = None
    error: str = ""


class Records(Iterator[Record]):
    """The records of some lines.

    Attributes:
        width: how many cells a record should have, once that is known.

    Args:
        lines: with their ends; ``UnreadableLineError`` for one that is too long.
        marks: what holds cells apart.
        number: of the line before the first.
    """

    def __init__(self, lines: Iterator[str], marks: Marks, number: int = 0) -> None:
        # The limit is one for the whole process: raised at need, never lowered, another thread may need more.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_CHARS))
        self.width = 0
        self._marks = marks
        self._shapes: deque[str] = deque(maxlen=8)
        self._feed = _Feed(lines, marks, number, self._shapes)
        self._parser = parser(marks, self._feed)
        self._padded = padded(marks) if marks.quote and not marks.escaping else None
        self._doubtful = 0

    def __next__(self) -> Record:
        self._feed.begin(self.width)
        try:
            cells = next(self._parser)
        except UnreadableLineError as error:
            return Record(self._feed.number, list(naive(self._marks, error.beginning)), Fault.LENGTH, str(error))
        except csv.Error:
            return self._broken()
        taken = self._feed.taken
        line, text = taken[0]
        if text.rstrip("\r\n") == END:
            return Record(line, [END])
        if len(taken) > 1 and self._swallowed(cells):
            return self._broken()
        if line <= self._doubtful and self._is_rest(text, cells):
            return Record(line, list(naive(self._marks, text)), Fault.QUOTE, _STRAY)
        if cells and len(cells) == self.width:
            self._shapes.append(_shape(cells[0]))
        return Record(line, cells)

    def _broken(self) -> Record:
        """The first line as a record that is bad; those behind it are read anew."""
        (line, text), *rest = self._feed.taken
        self._feed.give_back(rest)
        if rest:
            self._doubtful = max(self._doubtful, rest[-1][0])
        elif self._padded is not None and (cells := self._padded(text)) is not None and len(cells) >= self.width > 0:
            return Record(line, cells)
        return Record(line, list(naive(self._marks, text)), Fault.QUOTE, _STRAY)

    def _swallowed(self, cells: Cells) -> bool:
        """Whether a record of several lines is several records, the first of which has a quote too many."""
        if self.width < 2 or not self._marks.quote:
            return False
        following = [text for _, text in self._feed.taken[1:]]
        whole = [text for text in following if text.count(self._marks.delimiter) == self.width - 1]
        if len(cells) != self.width:
            return any(_is_whole(text, self._marks, self.width) for text in whole)
        if len(whole) < len(following) or self._feed.taken[0][1].count(self._marks.delimiter) != self.width - 1:
            return False
        alike = all(_shape(naive(self._marks, text)[0]) in self._shapes for text in following)
        return (len(following) >= _FEW_ALIKE and self.width > 2) or (alike and _is_code(following[0][:40], self._marks))

    def _is_rest(self, text: str, cells: Cells) -> bool:
        """Whether a line behind a broken one is what was left of its cell."""
        quote = self._marks.quote
        return bool(quote) and quote * 2 not in text and any(quote in cell for cell in cells if cell)


class _Feed(Iterator[str]):
    """Hands lines to the parser, remembers those of one record, and takes them back."""

    def __init__(self, lines: Iterator[str], marks: Marks, number: int, shapes: deque[str]) -> None:
        self._shapes = shapes
        self._lines = lines
        self._marks = marks
        self._back: deque[tuple[int, str | UnreadableLineError]] = deque()
        self._read = number
        self._width = 0
        self._chars = 0
        self._alike = 0
        self.number = number
        self.taken: list[tuple[int, str]] = []

    def begin(self, width: int) -> None:
        """A record begins."""
        self._width, self._chars, self._alike = width, 0, 0
        self.taken = []

    def give_back(self, lines: list[tuple[int, str]]) -> None:
        """These lines come again."""
        self._back.extendleft(reversed(lines))

    def __next__(self) -> str:
        number, line = self._line()
        self.number = number
        if isinstance(line, UnreadableLineError):
            if self.taken:
                self._back.appendleft((number, line))
                raise csv.Error(_STRAY)
            raise line
        self.taken.append((number, line))
        self._check(line)
        return line

    def _line(self) -> tuple[int, str | UnreadableLineError]:
        if self._back:
            return self._back.popleft()
        try:
            line: str | UnreadableLineError = next(self._lines)
        except UnreadableLineError as error:
            line = error
        self._read += 1
        return self._read, line

    def _check(self, line: str) -> None:
        """Raise ``csv.Error`` when the cell that is open cannot be meant."""
        self._chars += len(line)
        count = len(self.taken)
        if count == 1:
            return
        self._alike = self._alike + 1 if self._is_alike(line) else 0
        most = _MOST_LINES_OF_ONE_COLUMN if self._width == 1 else MOST_LINES
        if self._alike >= _ALIKE or count > most or self._chars > MAX_LINE_CHARS:
            raise csv.Error(_STRAY)

    def _is_alike(self, line: str) -> bool:
        """Whether a line looks like the records before it; a sentence with one comma is no row of two cells."""
        if self._width < 2 or not _is_whole(line, self._marks, self._width):
            return False
        return self._width > 2 or _shape(naive(self._marks, line)[0]) in self._shapes


def _is_whole(line: str, marks: Marks, width: int) -> bool:
    """Whether a line is a record by itself."""
    if not line.strip("\r\n"):
        return False
    if marks.quote not in line:
        return line.count(marks.delimiter) == width - 1
    try:
        return len(next(parser(marks, iter([line])))) == width
    except csv.Error:
        return False


def _shape(cell: str | None) -> str:
    """The shape of a cell: ``a-9`` for ``T-1024``."""
    shape = ""
    for char in (cell or "").strip()[:40]:
        kind = "9" if char.isdigit() else "a" if char.isalpha() else char
        if not shape.endswith(kind):
            shape += kind
    return shape


def _is_code(beginning: str, marks: Marks) -> bool:
    """Whether a line begins with a number or a code, as no sentence does."""
    return "9" in _shape(naive(marks, beginning)[0])
