"""``python -m benchmarks.ten_days`` on few collections: it does all that it says; the whole run is started by hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.ten_days import HAPPENS, START_MS, engines_run
from benchmarks.ten_days_commands import ALIVE, DAY_MS, commands_of

pytestmark = pytest.mark.slow


def test_every_kind_of_command_has_its_outcome_and_nothing_is_left_on_its_way(tmp_path: Path) -> None:
    chance = random.Random(1)
    seen = engines_run([commands_of(chance, n, 12, START_MS + n * DAY_MS // 6) for n in range(ALIVE + 8)], tmp_path)
    assert seen.outcomes.keys() >= HAPPENS
    end = seen.samples[-1]
    assert end["here collections"] + end["there collections"] <= ALIVE + 1
    assert end["here moves"] == end["there moves"] == ALIVE // 10
    assert (end["here forwards"], end["here redactions"], end["here lessons"]) == (0, 0, 0)
