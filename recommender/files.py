"""Files that are whole or not there: written beside their place, made durable, then put in it at once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recommender.errors import StateFull

CHUNK_BYTES = 1 << 20
_SPARE_BYTES = 16 << 20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file that becomes ``path``, durable and at once, if the block ends well."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.touch(mode=0o600, exist_ok=False)
    try:
        yield temporary
        fsync(temporary)
        temporary.rename(path)
        fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A temporary directory that becomes ``path``, durable and at once, if the block ends well.

    The block makes the files in it durable. ``path`` must not exist, or be empty. What a crash leaves behind is called
    ``.NAME.tmp``, and is cleared when the same name is written again.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        fsync(temporary)
        temporary.rename(path)
        fsync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def copy_file(source: Path, target: Path) -> None:
    """Copy a file to a place where there is none; durable when this returns.

    Raises:
        OSError: one of them cannot be used.
    """
    target.touch(mode=0o600, exist_ok=False)
    with source.open("rb") as read_from, target.open("wb") as file:
        shutil.copyfileobj(read_from, file, CHUNK_BYTES)
    fsync(target)


def require_room(directory: Path, size_bytes: int) -> None:
    """See to it that so much fits on the disk of ``directory``, and a little more: a full disk is of no use to anybody.

    Raises:
        StateFull: it does not.
    """
    free = shutil.disk_usage(directory).free
    if free < size_bytes + _SPARE_BYTES:
        raise StateFull(f"{directory} has room for {free:,} bytes, and {size_bytes:,} are needed")


def read_ahead(descriptor: int) -> None:
    """Bring a file into the page cache that is about to be read in an order of its own, which a disk is far slower at.

    Nothing happens with one that takes more than half of the machine's memory, or that cannot be read.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    buffer, place = bytearray(CHUNK_BYTES), 0
    with suppress(OSError):
        if 2 * os.fstat(descriptor).st_size <= memory:
            while read := os.preadv(descriptor, [buffer], place):
                place += read


def fsync(path: Path) -> None:
    """Make what is in the file, or the names in the directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
