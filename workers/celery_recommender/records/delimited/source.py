"""CSV, TSV and their relatives: delimited text with a header row, as spreadsheets, shops and databases export it."""

from __future__ import annotations

from collections.abc import Iterator

from celery_recommender.records.delimited.cells import Cells
from celery_recommender.records.delimited.odd_rows import odd_row
from celery_recommender.records.delimited.repair import END, Record, Records
from celery_recommender.records.delimited.sniffing import sniff
from celery_recommender.records.input.byte_input import ByteInput, UnreadableLineError, is_utf8, readable
from celery_recommender.records.input.columns import column_names
from celery_recommender.records.input.dialect import Dialect, Marks
from celery_recommender.records.input.formats import RecordFormat
from celery_recommender.records.rows import BadRow, Fault, Progress, Row
from recommender_engine.errors import ConfigurationError

_MARK = "\ufeff"


class DelimitedSource:
    """Rows of a delimited file; every value is text, or ``None`` where the file says that there is none.

    Args:
        data: the file.
        file_format: CSV, or TSV for one whose name promises tabs.

    Raises:
        ConfigurationError: the header cannot be read.
    """

    typed = False

    def __init__(self, data: ByteInput, file_format: RecordFormat) -> None:
        self._data = data
        text = data.decoded_head()
        layout = sniff(text, "\t" if file_format is RecordFormat.TSV else None)
        self._marks = layout.marks
        self._lines = data.lines(newline="")
        above = self._above(layout.hint + layout.preamble)
        self._records = Records(self._lines, layout.marks, len(above))
        header = self._header()
        self.columns: tuple[str, ...] = column_names(header)
        self._names = [name.strip() for name in header]
        self._records.width = len(header)
        self.dialect = Dialect(
            format=file_format,
            encoding=data.encoding,
            # A file of one column has no delimiter; one that is written alike gets further columns.
            marks=layout.marks if len(header) > 1 else Marks(),
            quote_all=layout.quote_all,
            line_end=layout.line_end,
            hint=layout.hint,
            preamble=tuple(above[layout.hint :]),
            header=header,
        )

    @property
    def progress(self) -> Progress:
        """Bytes read until now."""
        return self._data.progress

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows after the header, once. Nothing but delimiters at the end, or PostgreSQL's ``\\.``, is no row."""
        for number, record in enumerate(self._meant(), 1):
            yield self._row(number, record)

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _meant(self) -> Iterator[Record]:
        """The records without blank lines and without an empty end."""
        empty, ended = 0, None
        for record in self._records:
            if not record.cells:
                continue
            if record.fault is None and not any(record.cells) and len(record.cells) > 1:
                empty += 1
                continue
            if ended is None and record.cells == [END]:
                ended = record
                continue
            yield from (Record(record.line, [""] * len(self.columns)) for _ in range(empty))
            if ended is not None:
                yield Record(ended.line, [END], Fault.COLUMNS, "what ends the rows of a COPY, and rows behind it")
            empty, ended = 0, None
            yield record

    def _row(self, number: int, record: Record) -> Row | BadRow:
        cells = record.cells
        if isinstance(cells[0], str):
            cells[0] = cells[0].removeprefix(_MARK)  # of a file that was put behind another
        if self._marks.blanks:
            cells = [None if cell is None else cell.strip(" ") for cell in cells]
        fault, error = record.fault, record.error
        width = len(self.columns)
        if fault is None:
            cells = cells[:width] if not any(cells[width:]) else cells
            fault, error = self._fault(cells, first=number == 1)
        if fault is not None:
            return BadRow(number, f"line {record.line}: {error}", fault, self._own(cells))
        return Row(number, dict(zip(self.columns, cells, strict=False)))

    def _fault(self, cells: Cells, *, first: bool) -> tuple[Fault, str] | tuple[None, str]:
        if not all(cell is None or is_utf8(cell) for cell in cells):
            return Fault.ENCODING, f"bytes that are no {self._encoding}; name the encoding with --encoding"
        if len(cells) > 1 and [(cell or "").strip() for cell in cells] == self._names:
            return Fault.HEADER, "the header row once more"
        if len(cells) > len(self.columns) or any(self._names[len(cells) :]):
            return Fault.COLUMNS, f"{len(cells)} columns where the header has {len(self.columns)}"
        if len(cells) < len(self.columns):
            cells += [""] * (len(self.columns) - len(cells))
        return odd_row([cell or "" for cell in cells], first=first) or (None, "")

    @property
    def _encoding(self) -> str:
        return " and no ".join(filter(None, (self._data.encoding.name, self._data.encoding.other)))

    def _own(self, cells: Cells) -> dict[str, str | None]:
        """The cells by column; what has none is joined to the last."""
        last = len(self.columns) - 1
        if len(cells) > len(self.columns) > 0:
            cells = [*cells[:last], self._marks.delimiter.join(cell or "" for cell in cells[last:])]
        shown = [None if cell is None else readable(cell) for cell in cells]
        return dict(zip(self.columns, shown, strict=False))

    def _above(self, lines: int) -> list[str]:
        """The lines above the header."""
        try:
            return [readable(next(self._lines, "")).rstrip("\r\n") for _ in range(lines)]
        except UnreadableLineError as error:
            raise ConfigurationError(f"the header row cannot be read: {error}") from error

    def _header(self) -> tuple[str, ...]:
        record = next((one for one in self._records if one.cells), None)
        if record is None:
            return ()
        names = [cell or "" for cell in record.cells]
        if record.fault is not None:
            raise ConfigurationError(f"the header row cannot be read: {record.error}")
        if not all(map(is_utf8, names)):
            raise ConfigurationError(f"the header row holds bytes that are no {self._encoding}: see --encoding")
        return (names[0].removeprefix(_MARK), *names[1:])
