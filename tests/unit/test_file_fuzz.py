"""Whatever a file holds, each of its rows is read or reported, once. `make fuzz-files` does the same for longer."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from tests.support.mutations import trials


def test_every_row_of_a_mutated_file_is_read_or_reported(tmp_path: Path) -> None:
    read = sum(good for good, _ in islice(trials(0, tmp_path), 150))
    assert read > 500  # most changes cost one row, and not the file
