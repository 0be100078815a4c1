"""Files that fail at the n-th call of a kind."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_CALLS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (Path, "rename"),
    (Path, "touch"),
    (Path, "mkdir"),
    (Path, "open"),
    (Path, "write_bytes"),
    (Path, "write_text"),
)


class DiskFailure:
    """Counts calls that touch the disk; the one whose number it is given fails.

    Attributes:
        calls: how many there were.
        failed: whether one has failed.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self.calls = 0
        self.failed = False

    def count(self, name: str) -> None:
        self.calls += 1
        if self.calls == self._number:
            self.failed = True
            raise OSError(errno.EIO, f"injected: {name}, call {self.calls}")


@contextmanager
def failing_at(number: int) -> Iterator[DiskFailure]:
    """The ``number``-th write, fsync, rename, open … of Python's fails; what SQLite and hnswlib do does not."""
    failure = DiskFailure(number)
    with pytest.MonkeyPatch.context() as patched:
        for owner, name in _CALLS:
            patched.setattr(owner, name, _counted(failure, name, getattr(owner, name)))
        yield failure


def _counted(failure: DiskFailure, name: str, call: Any) -> Any:
    def counted(*args: Any, **kwargs: Any) -> Any:
        failure.count(name)
        return call(*args, **kwargs)

    return counted
