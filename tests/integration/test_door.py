"""Any bytes as any type of command, from those who may append: the owner goes on, and nothing is lost.

`make fuzz-door` does the same for as long as one likes.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.door import Door

pytestmark = pytest.mark.server


def test_any_appended_entry_has_one_outcome_and_ends_no_owner(tmp_path: Path) -> None:
    with ExitStack() as stack:
        door = Door(tmp_path, 20261130, stack)
        told = door.run(0)
        assert door.owner.terminate() == 0
    assert told.entries > 300
    assert told.outcomes["not_permitted"] > 20
