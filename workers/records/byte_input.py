"""The bytes of a file or of standard input: unzipped, counted, and cut into lines of bounded length."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from recommender.errors import ConfigurationError
from workers.records.formats import FilePath, is_standard_input
from workers.records.rows import Progress

MAX_LINE_CHARS = 16 * 1024 * 1024
"""Longest line, and longest CSV field, that is read; a file without line ends must not fill the memory."""

_GZIP_MAGIC = b"\x1f\x8b"


class UnreadableLineError(ValueError):
    """A line was skipped because it is too long."""


class Lines(Iterator[str]):
    """Lines with their ends; bytes that are not UTF-8 come as lone surrogates, see ``is_utf8``.

    A line that is too long is skipped and raises ``UnreadableLineError``; the iteration can go on after it.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.number = 0

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE_CHARS and not line.endswith(("\n", "\r")):
            while line and not line.endswith(("\n", "\r")):
                line = self._text.readline(MAX_LINE_CHARS)
            raise UnreadableLineError(f"longer than {MAX_LINE_CHARS} characters")
        return line


class ByteInput:
    """An open file or standard input. Gzip is told by the first bytes, whatever the name says.

    Raises:
        ConfigurationError: the file cannot be opened.
    """

    def __init__(self, path: FilePath) -> None:
        try:
            self._file: Any = sys.stdin.buffer if is_standard_input(path) else Path(path).open("rb")  # noqa: SIM115
        except OSError as error:
            raise ConfigurationError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
        self._owned = not is_standard_input(path)
        self._total = _size(self._file.fileno()) if self._owned else None
        self._counted = _CountedBytes(self._file)
        self._texts: list[TextIO] = []

    def lines(self, *, newline: str) -> Lines:
        """The lines as text without a byte order mark; ``newline`` as for ``open``. To be called once."""
        stream: Any = io.BufferedReader(self._counted)
        if self._counted.is_gzip:
            stream = gzip.GzipFile(fileobj=stream, mode="rb")
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
        self._texts.append(text)
        return Lines(text)

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
        if self._head:
            data, self._head = self._head, b""
        else:
            data = self._file.read1(len(buffer))  # what is there, without waiting for more: a pipe may be slow
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


def _size(descriptor: int) -> int | None:
    """Bytes of a regular file; a pipe has no size."""
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8, that is, came from UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """The text with bytes that are not UTF-8 as ``\\xe9``, so that it can be shown and written."""
    return text if is_utf8(text) else text.encode(errors="surrogateescape").decode(errors="backslashreplace")
