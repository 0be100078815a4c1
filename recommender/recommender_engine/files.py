"""Atomic files and directories (written under a temporary name, synced, renamed), and other file functions."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recommender_engine.errors import StateFull

CHUNK_BYTES = 1 << 20
_SPARE_BYTES = 16 << 20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file that atomically becomes ``path``, durable, if the block succeeds."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.touch(mode=0o600, exist_ok=False)
    give_to_owner_of(path.parent, temporary)
    try:
        yield temporary
        fsync(temporary)
        temporary.rename(path)
        fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A temporary directory that atomically becomes ``path``, durable, if the block succeeds.

    The block makes the files in it durable. ``path`` must not exist, or be empty. What a crash leaves behind is called
    ``.NAME.tmp``, and is cleared when the same name is written again.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        give_to_owner_of(path.parent, temporary)
        fsync(temporary)
        temporary.rename(path)
        fsync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def make_directory(directory: Path) -> None:
    """Create a directory with access for its owner only, and missing parents."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in reversed(missing):
        give_to_owner_of(one.parent, one)


def give_to_owner_of(folder: Path, made: Path) -> None:
    """Give what root has made, a file or a folder with what is in it, to the owner of a folder.

    Else a service could not use what somebody did for it as root. What is another's stays so, and what has other names
    too: it may be a link to a file of the system's.
    """
    if os.geteuid() != 0 or (owner := folder.stat()).st_uid == 0:
        return
    _give(made, None, owner)
    if made.is_dir():
        for _, directories, files, descriptor in os.fwalk(made):
            for name in (*directories, *files):
                _give(name, descriptor, owner)


def _give(name: str | Path, within: int | None, owner: os.stat_result) -> None:
    with suppress(OSError):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=within)
        try:
            found = os.fstat(descriptor)
            if found.st_uid == 0 and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        finally:
            os.close(descriptor)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file to a new path; durable on return.

    Raises:
        OSError: one of them cannot be used.
    """
    target.touch(mode=0o600, exist_ok=False)
    with source.open("rb") as read_from, target.open("wb") as file:
        shutil.copyfileobj(read_from, file, CHUNK_BYTES)
    fsync(target)


def require_room(directory: Path, size_bytes: int) -> None:
    """Check that the disk of ``directory`` has this much free space, plus a reserve.

    Raises:
        StateFull: it has not.
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
    """Sync the content of a file, or the names in a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; a byte order mark is ignored.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML, no UTF-8, nested too deep, or has a number of thousands of digits.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deep") from None
