"""The short part of ``make crash``: a fixed seed, and that the crasher itself is worth something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.mutants import MUTANTS
from tests.faults.points import POINTS
from tests.faults.trial import ROUND
from tests.support.processes import ROOT

pytestmark = pytest.mark.server

TRIALS = 10
AT_MOST_S = 60


def crash(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the crasher; it leaves processes behind only if it is killed."""
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.crash", "--directory", str(directory), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )


@pytest.mark.parametrize("point", POINTS, ids=[point.name for point in POINTS])
def test_every_point_is_a_moment_of_the_product(point) -> None:
    holder, name = point.resolve()
    assert callable(getattr(holder, name))


def test_there_are_points_at_every_step() -> None:
    steps = {point.step for point in POINTS}
    assert len(POINTS) >= 20
    assert steps >= {"read", "decode", "embed", "candidates", "decide", "transaction", "commit", "index", "publish"}
    assert steps >= {"acknowledge", "prune", "courier", "trim", "snapshot", "stop", "open", "redact", "scrub"}
    assert steps >= {"in hand", "examination", "quarantine", "recovery", "backup"}


def test_killed_workers_leave_behind_what_undisturbed_ones_do(tmp_path: Path) -> None:
    """Seeds from 31 on, fewer on a slow machine; the undisturbed run must reach every point."""
    run = crash(tmp_path / "crash", "--trials", str(TRIALS), "--seed", "31", "--seconds", str(AT_MOST_S))
    assert run.returncode == 0, run.stdout + run.stderr
    last = run.stdout.splitlines()[-1]
    trials, points, kills, disagree = (int(part.split()[0]) for part in last.split(", "))
    assert trials >= 5
    assert points >= 4
    assert kills >= trials / 2
    assert disagree == 0


SEEDS = {  # the first, and how many: their points lie where it is broken; 15: in the transaction and behind it
    "finding_in_two_steps": (86, 2),
    "trimmed_without_backup": (99, 3),
    "backup_written_in_place": (102, 3),
    "backup_deleted_in_place": (111, 2),
    "recovery_skipped": (92, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_product_is_noticed(tmp_path: Path, mutant: str) -> None:
    seed, trials = SEEDS.get(mutant, (15, 36))
    options = ("--trials", str(trials), "--seed", str(seed), "--drain-s", "5", "--break", mutant)
    run = crash(tmp_path / "crash", *options)
    assert run.returncode == 1
    assert "disagree" in run.stdout, run.stdout
    assert not run.stdout.rstrip().endswith(" 0 disagree") or "the undisturbed run" in run.stdout, run.stdout


@pytest.mark.parametrize(
    "point", ["quarantine: MULTI/EXEC sent, no reply", "recovery: batch compared", "backup: before the rename"]
)
def test_what_lies_beside_the_main_path_is_disturbed_as_well(tmp_path: Path, point: str) -> None:
    run = crash(tmp_path / "crash", "--trials", "1", "--seed", str(ROUND.index(point)))
    assert run.stdout.rstrip().endswith(" 0 disagree"), run.stdout + run.stderr
    (told,) = [line for line in run.stdout.splitlines() if line.startswith(f"{point} ")]
    assert told.split()[-1] != "0", "it was not struck"
