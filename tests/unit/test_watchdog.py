from __future__ import annotations

import subprocess
import sys

import pytest

from celery_recommender.owner.poison.watchdog import limit_s, watched

PROGRAM = """
import ctypes, sys, time
from celery_recommender.owner.poison.watchdog import watched
with watched({limit}):
    {first}
with watched(60):
    print("through")
"""


def run(first: str, limit: float = 0.5, before: str = "") -> subprocess.CompletedProcess[str]:
    program = before + PROGRAM.format(first=first, limit=limit)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("hangs", ["time.sleep(600)", "ctypes.PyDLL(None).sleep(600)", "while True: pass"])
def test_what_does_not_come_back_ends_the_process(hangs: str) -> None:
    done = run(hangs)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "through" not in done.stdout


def test_what_comes_back_is_left_alone() -> None:
    assert run("pass", limit=60).stdout == "through\n"


def test_it_works_without_standard_error() -> None:
    done = run("time.sleep(600)", before="import sys; sys.stderr.close(); sys.__stderr__ = None\n")
    assert done.returncode == 1


def test_an_error_inside_disarms_it() -> None:
    with pytest.raises(ValueError, match="of the block"), watched(60):
        raise ValueError("of the block")


def test_a_large_batch_has_more_time() -> None:
    assert limit_s(300, 0) == 300
    assert limit_s(300, 1000) == 600
