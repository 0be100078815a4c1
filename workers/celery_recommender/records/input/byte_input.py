"""The bytes of a file or of standard input: unzipped, counted, decoded, and split into lines of bounded length."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from celery_recommender.records.input.encodings import HEAD_BYTES, Survey, TextEncoding, find_encoding, survey
from celery_recommender.records.input.formats import FilePath, is_standard_input
from celery_recommender.records.rows import Progress
from recommender_engine.errors import ConfigurationError

MAX_LINE_CHARS = 16 * 1024 * 1024
"""Longest line, and longest record, that is read; a file without line ends must not fill the memory."""

KEPT_CHARS = 64 * 1024
"""So much is kept of a line that is too long."""

_GZIP_MAGIC = b"\x1f\x8b"
_PIPE_BYTES = 64 * 1024
_OTHERWISE = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or give it a name that ends in .xlsx",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as .xlsx or as CSV",
    b"PAR1": "a Parquet file: give it a name that ends in .parquet",
    b"%PDF-": "a PDF",
    b"BZh": "packed with bzip2: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz: unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "packed with Zstandard: unpack it, or pack it with gzip",
    b"SQLite format 3": "an SQLite database: export a table of it",
    b"\x1f\x8b": "packed with gzip twice: unpack it once",
    b"\x04\x22\x4d\x18": "packed with lz4: unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "packed with 7-Zip: unpack it, or pack it with gzip",
    b"Rar!": "packed with RAR: unpack it, or pack it with gzip",
    b"\x89PNG": "a picture",
    b"ORC\x00": "an ORC file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet",
    b"ARROW1": "an Arrow file: write it as Parquet",
}
_WORDS = (b"PAR1", b"BZh", b"Rar!", b"ARROW1", b"SQLite format 3")
"""Those that a text may begin with; behind them come bytes that no text has."""

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_UNREADABLE = "recommender.unreadable"


class UnreadableLineError(ValueError):
    """A line was skipped because it is too long; ``beginning`` is what is kept of it."""

    def __init__(self, beginning: str) -> None:
        super().__init__(f"longer than {MAX_LINE_CHARS} characters; its beginning is kept")
        self.beginning = beginning


class Lines(Iterator[str]):
    """Lines with their ends; bytes that mean nothing come as lone surrogates, see ``is_utf8`` and ``readable``.

    A line that is too long is skipped and raises ``UnreadableLineError``; the iteration can go on after it.

    Args:
        text: the text.
        other: the codec for lines that are not UTF-8.
    """

    def __init__(self, text: TextIO, other: str | None = None) -> None:
        self._text = text
        self._other = other
        self.number = 0

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE_CHARS and not line.endswith(("\n", "\r")):
            beginning = line[:KEPT_CHARS]
            while line and not line.endswith(("\n", "\r")):
                line = self._text.readline(MAX_LINE_CHARS)
            raise UnreadableLineError(readable(beginning))
        return self._meant(line)

    def piece(self, size: int) -> str:
        """Up to the end of a line, or a number of characters; empty at the end of the text."""
        return self._meant(self._text.readline(size))

    def _meant(self, line: str) -> str:
        if self._other is not None and not is_utf8(line):
            return line.encode(errors="surrogateescape").decode(self._other, _UNREADABLE)
        return line


class ByteInput:
    """An open file or standard input. Gzip is recognised by the first bytes, not by the name.

    Attributes:
        head: the first bytes, unzipped: of a file many, of a pipe those that are there.

    Args:
        path: the file, or a dash.
        encoding: that was named for it.

    Raises:
        ConfigurationError: the file cannot be opened, is no text, or its encoding is not the one that was named.
    """

    def __init__(self, path: FilePath, encoding: str | None = None) -> None:
        self._texts: list[TextIO] = []
        self._owned = not is_standard_input(path)
        self._file: Any = _opened(path) if self._owned else sys.stdin.buffer
        try:
            self._total = _size(self._file.fileno()) if self._owned else None
            self._counted = _CountedBytes(self._file)
            self._stream: Any = io.BufferedReader(self._counted, _PIPE_BYTES if not self._owned else 8192)
            if self._counted.is_gzip:
                self._stream = io.BufferedReader(gzip.GzipFile(fileobj=self._stream, mode="rb"))
            found = _survey(path) if self._owned else _glance(self._stream.peek(1)[:HEAD_BYTES])
            self.head = found.head
            if (what := _otherwise(found.head)) is not None:
                raise ConfigurationError(f"{os.fspath(path)} is {what}")
            self.encoding: TextEncoding = find_encoding(found, encoding, os.fspath(path))
        except BaseException:
            self.close()
            raise

    def lines(self, *, newline: str) -> Lines:
        """The lines as text without a byte order mark; ``newline`` as for ``open``. To be called once."""
        return Lines(self.text(newline=newline), self.encoding.other)

    def text(self, *, newline: str) -> TextIO:
        """The text without a byte order mark. To be called once."""
        codecs.register_error(_UNREADABLE, _as_surrogates)
        self._stream.read(len(self.encoding.mark))
        text = io.TextIOWrapper(self._stream, encoding=self.encoding.name, errors=_UNREADABLE, newline=newline)
        self._texts.append(text)
        return text

    def decoded_head(self) -> str:
        """The first lines as text, for a look at them; ends of lines as they are."""
        codecs.register_error(_UNREADABLE, _as_surrogates)
        data = self.head.removeprefix(self.encoding.mark)
        text = codecs.getincrementaldecoder(self.encoding.name)(_UNREADABLE).decode(data)
        if self.encoding.other is None or is_utf8(text):
            return text
        return "".join(
            line if is_utf8(line) else line.encode(errors="surrogateescape").decode(self.encoding.other, _UNREADABLE)
            for line in io.StringIO(text, newline="")
        )

    @property
    def progress(self) -> Progress:
        """Bytes taken from the file, before decompression."""
        return Progress(self._counted.count, self._total, "bytes")

    def close(self) -> None:
        """Close the file; standard input stays open."""
        for text in self._texts:
            text.close()
        if self._owned:
            self._file.close()


class _CountedBytes(io.RawIOBase):
    """Counts what passes, and looks at the first two bytes without losing them."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self._head: bytes = file.read(len(_GZIP_MAGIC))
        self.is_gzip = self._head == _GZIP_MAGIC
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # What is there, without waiting for more: a pipe may be slow.
        data, self._head = self._head + self._file.read1(len(buffer) - len(self._head)), b""
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8, that is, came from bytes that mean something."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """The text with bytes that mean nothing as ``\\xe9``, so that it can be shown and written."""
    if is_utf8(text):
        return text
    return "".join(_written(char) if "\ud800" <= char <= "\udfff" else char for char in text)


def _written(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc00" <= char <= "\udcff" else f"\\u{ord(char):04x}"


def _as_surrogates(error: UnicodeError) -> tuple[str, int]:
    """Each byte that means nothing as a lone surrogate, in any codec; ``surrogateescape`` knows some of them only."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _otherwise(head: bytes) -> str | None:
    """The kind of a file that is no text, by its first bytes."""
    if head.startswith(_WORDS) and not _CONTROL.search(head):
        return None
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC) and b"\x00" in head[:_TAR_MAGIC_AT]:
        return "a tar archive: unpack it"
    return next((what for magic, what in _OTHERWISE.items() if head.startswith(magic)), None)


def _opened(path: FilePath) -> Any:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ConfigurationError(f"cannot read {os.fspath(path)}: {error.strerror}") from error


def _survey(path: FilePath) -> Survey:
    """Look through the whole file, beside the reading."""
    with _opened(path) as file:
        magic = file.read(len(_GZIP_MAGIC))
        file.seek(0)
        return survey(gzip.GzipFile(fileobj=file, mode="rb") if magic == _GZIP_MAGIC else file)


def _glance(head: bytes) -> Survey:
    """The beginning up to its last complete line, where the rest has not arrived yet."""
    return survey(io.BytesIO(head[: head.rfind(b"\n") + 1] or head))


def _size(descriptor: int) -> int | None:
    """Bytes of a regular file; a pipe has no size."""
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else None
