"""What the benchmarks say of what they have measured; that they run is tested in tests/integration."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.child import Child
from benchmarks.profile import BEGIN, END, PAGE, fill
from benchmarks.report import Report, Row, report_json
from benchmarks.stages import OTHER, RULES, stage_of
from benchmarks.table import page
from benchmarks.vectors import spread
from celery_recommender.measuring import Figure, percentile
from celery_recommender.sandbox import ProcessFailed, start, stop, wait_for
from celery_recommender.settings import process_environment

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "recommender").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
LIMIT = Figure("the limit", "items/s", (100.0, 200.0, 400.0))
OURS = Figure("ours", "items/s", (90.0, 100.0, 320.0))


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert OURS.over(LIMIT) == pytest.approx(0.8)
    assert OURS.median / LIMIT.median == pytest.approx(0.5), "which a ratio of medians would be"
    with pytest.raises(ValueError, match="shorter"):
        OURS.over(Figure("of other rounds", "items/s", (1.0, 2.0)))


def test_percentiles_are_of_the_values() -> None:
    assert percentile([7.0], 99) == 7.0
    assert percentile([float(n) for n in range(101)], 50) == 50.0
    assert percentile([float(n) for n in range(101)], 99) == 99.0


def test_a_report_shows_the_limit_beside_the_figure_and_the_goal() -> None:
    report = Report(
        "pipeline", "The pipeline", "3 texts", [Row(LIMIT), Row(OURS, LIMIT, "≥ 0.8")], {"events": {"a": 3}}
    )
    shown = page([report], {"processors": 2}, {"pipeline": Path("pipeline.png")})
    assert "| ours | 100 items/s | 90 … 320 | the limit: 200 | **0.80** | ≥ 0.8 |" in shown
    assert "![The pipeline](pipeline.png)" in shown
    said = json.loads(json.dumps(report_json(report)))
    assert said["rows"][1]["ratio"] == 0.8
    assert said["rows"][1]["values"] == [90.0, 100.0, 320.0]
    assert said["rows"][0]["ratio"] is None


def test_spread_vectors_are_different_and_of_unit_length() -> None:
    given = np.eye(8, dtype=np.float32)
    found = spread(given, 500)
    assert found.shape == (500, 8)
    assert np.array_equal(found[:8], given)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert len(np.unique(found.round(6), axis=0)) == 500
    assert np.array_equal(found, spread(given, 500)), "the same each time"
    assert np.array_equal(spread(given, 3), given[:3])


def test_stages_are_recognised_by_existing_modules() -> None:
    for stage, parts in RULES:
        for part in parts:
            path, _, function = part.partition(":")
            matching = [one for one in SOURCES if path in one.as_posix()]
            assert matching, (stage, part)
            assert not function or any(f"def {function}(" in one.read_text() for one in matching)


@pytest.mark.parametrize(
    ("stack", "stage"),
    [
        (
            (
                "recommender/recommender_engine/store/sqlite.py:execute",
                "recommender/recommender_engine/pipeline/lexical/words.py:search",
            ),
            "word search",
        ),
        (
            (
                "recommender/recommender_engine/store/sqlite.py:execute",
                "recommender/recommender_engine/pipeline/commands/upserts.py:store",
            ),
            "reading and writing the state",
        ),
        (
            (
                "recommender/recommender_engine/embedding/tokens.py:padded",
                "recommender/recommender_engine/embedding/choosing.py:embed",
            ),
            "tokenising",
        ),
        (("lib/threading.py:wait", "lib/celery/worker/loops.py:asynloop"), OTHER),
    ],
)
def test_what_is_specific_tells_the_stage(stack: tuple[str, ...], stage: str) -> None:
    assert stage_of(stack) == stage


def test_the_profile_is_written_between_its_marks(tmp_path: Path) -> None:
    copy = tmp_path / "profile.md"
    copy.write_text(PAGE.read_text())
    report = Report("profile", "Where", "3 texts", [Row(Figure("the matcher", "ms per item", (1.25,)))], {"all": 2.5})
    for _ in range(2):
        fill(copy, report)
    written = copy.read_text()
    assert written.count("| the matcher | 1.25 |") == 1
    assert written.split(BEGIN)[0] == PAGE.read_text().split(BEGIN)[0]
    assert written.split(END)[1] == PAGE.read_text().split(END)[1]
    copy.write_text("no marks")
    with pytest.raises(ValueError, match="no place for the figures"):
        fill(copy, report)


def test_a_child_that_ends_says_why(tmp_path: Path) -> None:
    child = Child("no.such.module", process_environment(), tmp_path / "log")
    with child, pytest.raises(ProcessFailed, match="No module named"):
        child.ask("cpu")


def test_a_process_that_does_not_end_in_order_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celery_recommender.sandbox._STOP_TIMEOUT_S", 0.2)
    log = tmp_path / "log"
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = start([sys.executable, "-c", stubborn], process_environment(), log)
    wait_for(lambda: None, lambda: "up" in log.read_text())
    stop(process)
    assert process.returncode == -9


def test_waiting_ends_with_an_error() -> None:
    with pytest.raises(ProcessFailed, match="nothing came within 0 s"):
        wait_for(lambda: None, lambda: False, timeout_s=0.0)
