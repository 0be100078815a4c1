"""Processes with a wrong wall clock that can be changed while they run (libfaketime); monotonic clocks stay correct."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

_LIBRARIES = ("libfaketimeMT.so.1", "libfaketime.so.1")


class FakeClock:
    """The wall clock of processes that are started with ``environment``.

    Args:
        file: where the library looks; in a directory of the test's own.
    """

    def __init__(self, file: Path) -> None:
        found = [path for name in _LIBRARIES for path in Path("/usr/lib").glob(f"*/faketime/{name}")]
        if not found:
            pytest.skip("needs libfaketime")
        self._file = file
        self.shift(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, seconds: int) -> None:
        """Set it ahead of the real time, or behind it."""
        self._write(f"{seconds:+d}")

    def freeze(self) -> None:
        """Stop the clock."""
        self._write(datetime.datetime.now(tz=datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"))

    def _write(self, said: str) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(said)
        new.replace(self._file)
