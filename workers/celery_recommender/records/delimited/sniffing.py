"""The separator of a delimited file, and its header line, from the lines below the header."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from celery_recommender.records.delimited.cells import Cells
from celery_recommender.records.delimited.repair import Record, Records
from celery_recommender.records.input.dialect import Marks
from celery_recommender.records.rows import Fault
from celery_recommender.records.values.guessing import is_name_of_text, is_usual_name
from celery_recommender.records.values.quantities import is_number

DELIMITERS = "\t;|,^~\x01\x1f¦"
"""Of two that fit as well the first is taken: commas stand in texts and numbers, the others rarely."""

_HINT = re.compile(r"""\ufeff?["']?sep=(.)["']?[,;\t|]*\s*""", re.IGNORECASE)
_SAMPLE_CHARS = 64 * 1024
_SAMPLE_RECORDS = 300
_PREAMBLE = 20
_MOSTLY = 0.8
_SURELY = 0.9
_USUAL = "\t;|,"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited file is laid out.

    Attributes:
        marks: what holds cells apart.
        hint: whether the first line says which delimiter there is.
        preamble: lines before the header, the one with the hint not among them.
        quote_all: whether every cell is in quotes.
        line_end: what ends a line.
    """

    marks: Marks
    hint: bool
    preamble: int
    quote_all: bool
    line_end: str


def sniff(text: str, delimiter: str | None = None) -> Layout:
    """The layout of a file whose first lines are ``text``; ``delimiter`` is the one that its name promises."""
    found = _HINT.fullmatch(text.partition("\n")[0].partition("\r")[0])
    hint = found is not None
    if found is not None:
        delimiter = found[1]
        text = re.sub(r"^[^\r\n]*(\r\n|\r|\n)?", "", text, count=1)
    line_end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
    if delimiter is None or (not hint and delimiter not in text):
        delimiter = _delimiter(text[:_SAMPLE_CHARS])
    marks = _marks(text, delimiter)
    sample = _Sample(text, marks)
    return Layout(marks, hint, sample.preamble, _quote_all(text, marks), line_end)


class _Sample:
    """The first lines, read with certain marks.

    Attributes:
        preamble: lines before the header.
        header: the cells of the header.
        broken: whether its quotes make no sense.
        body: the records behind it.
        share: of the records behind the header, how many have as many cells.
    """

    def __init__(self, text: str, marks: Marks) -> None:
        first = [record for record in _records(text, marks, 0, _PREAMBLE * 2) if record.cells]
        width = _usual_width(first)
        at = _header_at(first, width)
        self.preamble = first[at].line - 1 if first else 0
        self.header: Cells = first[at].cells if first else []
        self.broken = bool(first) and first[at].fault is not None
        body = _records(text, marks, len(self.header), _SAMPLE_RECORDS, self.preamble)
        self.body = [record for record in body if record.cells and not _is_beside(record.cells)][1:]
        fit = sum(record.fault is None and self._fits(record.cells) for record in self.body)
        self.share = fit / len(self.body) if self.body else 1.0

    @property
    def torn(self) -> int:
        """How many records have a quote too many."""
        return sum(record.fault is Fault.QUOTE for record in self.body)

    def _fits(self, cells: Cells) -> bool:
        return len(cells) == len(self.header) or (len(cells) > len(self.header) and not any(cells[len(self.header) :]))


def _is_beside(cells: Cells) -> bool:
    """Whether a line is no row: one that is drawn around a table or below its header, a comment, what ends a COPY."""
    return len(cells) == 1 and re.fullmatch(r"[-+=]*--[-+=]*|#.*|\\\.", cells[0] or "") is not None


def _records(text: str, marks: Marks, width: int, most: int, skipped: int = 0) -> list[Record]:
    lines = io.StringIO(text, newline="")
    for _ in range(skipped):
        next(lines, None)
    records = Records(lines, marks, skipped)
    records.width = width
    return list(islice(records, most))


def header_of(records: Sequence[Record]) -> int:
    """The place of the header among the first records of a table."""
    return _header_at(records, _usual_width(records))


def _usual_width(records: Sequence[Record]) -> int:
    widths = Counter(len(record.cells) for record in records[1:] or records)
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _header_at(records: Sequence[Record], width: int) -> int:
    """The place of the header: the first record that is not a title, a date or a comment above the table."""
    table = [at for at, record in enumerate(records) if len(record.cells) == width and _filled(record) * 2 > width]
    for at, record in enumerate(records[:_PREAMBLE]):
        apart = width > 2 or (records[at + 1 : at + 2] and records[at + 1].line > record.line + 1)
        narrow = apart and len(record.cells) < width and _filled(record) <= max(1, width // 2)
        title = width > 2 and _filled(record) <= 1
        comment = str(record.cells[0]).startswith("#") and len(record.cells) != width
        grouped = records[at + 1 : at + 2] and _spans_names(record.cells, records[at + 1].cells)
        if len([other for other in table if other > at]) < 2 or not (narrow or title or comment or grouped):
            return at
    return 0


def _spans_names(above: Cells, names: Cells) -> bool:
    """Whether a row says little, such as groups of columns or a title, and the names of the columns stand below it."""
    if len(above) != len(names) or not all(names) or all(above):
        return False
    filled, usual = (
        sum(map(bool, above)),
        [sum(is_usual_name(cell or "") for cell in cells) for cells in (above, names)],
    )
    title = filled * 2 <= len(names) and not any(map(is_number, names)) and len(set(names)) == len(names)
    return usual[1] > max(1, usual[0]) or (title and usual[1] > 0)


def _filled(record: Record) -> int:
    return sum(bool(cell and cell.strip()) for cell in record.cells)


def _delimiter(text: str) -> str:
    """The delimiter with which most records have as many cells as the header."""
    best, found = (False, 0.0, 0, 0.0, 0), ","
    one_column = True
    for delimiter in DELIMITERS:
        if delimiter not in text:
            continue
        sample = _Sample(text, Marks(delimiter))
        columns = len(sample.header)
        doubtful = sample.preamble > 0 or delimiter not in _USUAL
        if columns < 2 or (doubtful and (sample.share < _SURELY or not all(_inner(sample.header)))):
            continue
        if sample.preamble and _is_name_of_all(text, sample.header):
            continue
        one_column = False
        rank = (not sample.broken, round(sample.share, 2), -sample.preamble, -_clumsiness(sample.header), columns)
        if rank > best:
            best, found = rank, delimiter
    if one_column and "," in text:  # a comma is then part of the text, and nothing is a delimiter
        return next((char for char in DELIMITERS if char not in text), found)
    return found


def _inner(header: Cells) -> Cells:
    """The names of a header without the nothing outside of the bars of a drawn table, or before the first tab."""
    if len(header) < 3:
        return header
    return header[not header[0] : len(header) - (not header[-1])]


def _is_name_of_all(text: str, header: Cells) -> bool:
    """Whether the first line is the name of an only column of texts, and what would be the header is one of them."""
    return is_name_of_text(text.lstrip().partition("\n")[0]) and not any(is_usual_name(name or "") for name in header)


def _clumsiness(header: Cells) -> float:
    """How much the names look as if they had been split in the wrong places."""
    names = [name or "" for name in header]
    unbalanced = sum(name.count(left) != name.count(right) for name in names for left, right in ("()", "[]"))
    blank = sum(name.startswith(" ") for name in names[1:])
    return unbalanced + (0 if blank == len(names) - 1 else blank)


def _marks(text: str, delimiter: str) -> Marks:
    """Quotes, backslashes and blanks, as they fit the lines best."""
    marks = Marks(delimiter)
    if _blanks_follow(text, delimiter):
        marks = replace(marks, blanks=True)
    best = _Sample(text, marks)
    if f"'{delimiter}'" in text and _better(quoted := replace(marks, quote="'"), text, best.share):
        marks = quoted
    if "\\" in text and (escaping := _escaping(text, marks, best)) is not None:
        return escaping
    if best.torn and marks.quote == '"' and _quotes_are_characters(text, marks, best):
        return replace(marks, quote="")
    return marks


def _better(marks: Marks, text: str, share: float) -> bool:
    sample = _Sample(text, marks)
    bare = all((name or "x")[0] != "'" for name in sample.header)
    return sample.share >= share and bare and sample.torn == 0


def _escaping(text: str, marks: Marks, best: _Sample) -> Marks | None:
    """Marks with backslashes, if those explain more of the lines, or there is a value that is none: ``\\N``."""
    bare = replace(marks, quote="", escaping=True)
    quoted = replace(marks, escaping=True)
    nulls = re.search(rf"(?:^|{re.escape(marks.delimiter)})\\N(?:{re.escape(marks.delimiter)}|$)", text, re.MULTILINE)
    in_quotes = re.search(rf"(?:^|{re.escape(marks.delimiter)}){re.escape(marks.quote)}", text, re.MULTILINE)
    for marked in (quoted, bare) if in_quotes else (bare,):
        candidate = replace(marked, nulls=nulls is not None)
        sample = _Sample(text, candidate)
        if sample.torn == 0 and sample.share >= best.share and (nulls or (best.torn, -sample.share) > (0, -best.share)):
            return candidate
    return None


def _quotes_are_characters(text: str, marks: Marks, best: _Sample) -> bool:
    """Whether no cell is in quotes, and several quotes make no sense as such; a single one is an error."""
    plain = _Sample(text, replace(marks, quote=""))
    if plain.share < best.share:
        return False
    quote, end = re.escape(marks.quote), re.escape(marks.delimiter)
    inside = rf"[^{quote}\r\n]*" + (rf"{end}[^{quote}\r\n]*" if marks.delimiter == "\t" else "")
    if re.search(rf"(?:^|{end}){quote}{inside}{quote}(?={end}|\r|$)", text, re.MULTILINE):
        return False
    return marks.delimiter == "\t" or best.torn > 1


def _blanks_follow(text: str, delimiter: str) -> bool:
    """Whether nearly every cell but the first begins with a blank."""
    blank = filled = 0
    for line in islice(_lines(text), _SAMPLE_RECORDS):
        cells = [cell for cell in line.split(delimiter)[1:] if cell.strip(" -")]
        filled += len(cells)
        blank += sum(cell.startswith(" ") for cell in cells)
    if filled and blank >= _MOSTLY * filled:
        return True
    return (
        f'{delimiter} "' in text
        and _Sample(text, Marks(delimiter)).share < _Sample(text, Marks(delimiter, blanks=True)).share
    )


def _quote_all(text: str, marks: Marks) -> bool:
    """Whether every cell of the first lines is in quotes, numbers and names too."""
    if not marks.quote or marks.escaping:
        return False
    lines = list(islice((line for line in _lines(text) if line), 20))
    quote, end = re.escape(marks.quote), re.escape(marks.delimiter)
    cell = rf"{quote}(?:[^{quote}]|{quote}{quote})*+{quote}"
    quoted = [re.fullmatch(rf"{cell}(?:{end}{cell})*+", line) is not None for line in lines]
    return len(lines) > 1 and quoted[0] and sum(quoted) >= _MOSTLY * len(lines)


def _lines(text: str) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in io.StringIO(text, newline=""))
