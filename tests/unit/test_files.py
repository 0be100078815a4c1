"""A file that is about to be read in an order of its own is read in the disk's order first."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from recommender.files import CHUNK_BYTES, read_ahead


def watched(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the file, and tells the bytes of each read from then on."""
    path.write_bytes(b"x" * (2 * CHUNK_BYTES + 5))
    found: list[int] = []

    class Watched(io.FileIO):
        def readinto(self, buffer: Any) -> int | None:
            found.append(super().readinto(buffer) or 0)
            return found[-1]

    monkeypatch.setattr(Path, "open", lambda self, mode, buffering: Watched(self, mode))
    return found


def test_all_of_it_is_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = watched(tmp_path / "file", monkeypatch)
    read_ahead(tmp_path / "file")
    assert reads == [CHUNK_BYTES, CHUNK_BYTES, 5, 0]


@pytest.mark.parametrize(("memory", "read"), [(4 * CHUNK_BYTES + 10, True), (4 * CHUNK_BYTES + 9, False)])
def test_what_is_too_large_to_be_kept_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, read: bool
) -> None:
    reads = watched(tmp_path / "file", monkeypatch)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": memory, "SC_PAGE_SIZE": 1}.__getitem__)
    read_ahead(tmp_path / "file")
    assert bool(reads) == read


def test_a_file_that_is_not_there_is_no_matter(tmp_path: Path) -> None:
    read_ahead(tmp_path / "nothing")
