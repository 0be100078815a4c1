"""A file that is about to be read in an order of its own is read in the disk's order first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recommender_engine.files import CHUNK_BYTES, read_ahead

SIZE = 2 * CHUNK_BYTES + 5


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(b"x" * SIZE)
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each read."""
    found: list[int] = []
    real = os.preadv

    def preadv(*arguments: Any) -> int:
        found.append(real(*arguments))
        return found[-1]

    monkeypatch.setattr(os, "preadv", preadv)
    return found


def test_all_of_it_is_read_in_order(descriptor: int, reads: list[int]) -> None:
    read_ahead(descriptor)
    assert reads == [CHUNK_BYTES, CHUNK_BYTES, 5, 0]


@pytest.mark.parametrize(("memory", "read"), [(2 * SIZE, True), (2 * SIZE - 1, False)])
def test_what_is_too_large_to_be_kept_is_not_read(
    descriptor: int, reads: list[int], monkeypatch: pytest.MonkeyPatch, memory: int, read: bool
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": memory, "SC_PAGE_SIZE": 1}.__getitem__)
    read_ahead(descriptor)
    assert bool(reads) == read


def test_a_disk_that_cannot_be_read_fails_at_the_next_read(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    read_ahead(descriptor)
