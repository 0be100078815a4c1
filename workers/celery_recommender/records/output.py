"""Output that is either whole or not there."""

from __future__ import annotations

import gzip
import io
import os
import secrets
from pathlib import Path
from typing import Any, TextIO

from celery_recommender.records.input.encodings import TextEncoding
from celery_recommender.records.input.formats import FilePath, is_gzip_name
from recommender_engine.errors import ConfigurationError
from recommender_engine.files import give_to_owner_of


class AtomicFile:
    """A file written beside its final place and moved there at the end.

    Attributes:
        path: the final place, links followed.
        part: where to write until then, in the same folder.

    Raises:
        ConfigurationError: the place is no regular file, or its folder cannot be written.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = Path(path).resolve()
        self.part = self.path.with_name(f".{self.path.name[:40]}.{secrets.token_hex(6)}.part")
        if self.path.exists() and not self.path.is_file():
            raise ConfigurationError(f"cannot write {os.fspath(path)}: not a regular file")
        try:
            self.part.touch(exist_ok=False)  # with the permissions that any new file of this user gets
        except OSError as error:
            raise ConfigurationError(f"cannot write {os.fspath(path)}: {error.strerror}") from error
        give_to_owner_of(self.path.parent, self.part)

    def commit(self) -> None:
        """Put the finished part in its place, replacing what was there."""
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        self.part.replace(self.path)

    def abandon(self) -> None:
        """Remove the part; what was in the final place stays."""
        self.part.unlink(missing_ok=True)


class TextOutput:
    """An open text file, gzipped when the final name ends in ``.gz``.

    What the encoding does not have is written as ``\\u20ac``.
    """

    def __init__(self, target: AtomicFile, encoding: TextEncoding) -> None:
        self._file = target.part.open("wb")
        stream: Any = self._file
        if is_gzip_name(target.path):
            # Neither name nor time inside: the same rows give the same bytes.
            stream = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=self._file, mtime=0)
        stream.write(encoding.mark)
        self.text: TextIO = io.TextIOWrapper(stream, encoding=encoding.written, errors="backslashreplace", newline="")

    def close(self) -> None:
        """Write what is buffered and close, whatever fails on the way."""
        try:
            self.text.close()
        finally:
            self._file.close()
