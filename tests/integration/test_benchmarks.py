"""``python -m benchmarks``: everything runs to its end on few texts; the figures are not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.comparison import NAMES
from tests.support.command_line import environment
from tests.support.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.server]


def results(*arguments: str, timeout_s: float) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = Path(done.stderr.rpartition("written to ")[2].strip())
    found: dict[str, list[dict[str, object]]] = json.loads((folder / "results.json").read_text())
    assert (folder / "results.md").read_text().count("\n## ") == len(found["reports"])
    assert list(folder.glob("*.png"))
    return found["reports"]


@pytest.mark.timeout(1200)
def test_everything_but_the_peers() -> None:
    reports = results("all", "--items", "40", "--rounds", "1", "--without", "peers", timeout_s=1100)
    names = {str(report["name"]).partition(" ")[0] for report in reports}
    assert names == {"pipeline", "latency", "neighbour", "vectors", "profile"}
    assert all(row["median"] > 0 for report in reports for row in report["rows"] if row["goal"])  # type: ignore[attr-defined]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_each_peer(name: str) -> None:
    (report,) = results("peers", "--items", "40", "--rounds", "1", "--only", name, timeout_s=1100)
    missing = [note for note in report["notes"] if note.startswith("Not measured")]  # type: ignore[attr-defined]
    if missing:
        pytest.skip(missing[0])
    assert report["rows"][-1]["ratio"] > 0  # type: ignore[index]
