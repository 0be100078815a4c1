"""``recommender bench``: everything in it is real, the figures are not looked at."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from celery_recommender.settings import Settings
from tests.support.command_line import command, environment, run
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.model, pytest.mark.server]

FIGURES = {"pipeline_vs_encoder", "single_encode_ms", "idle_p50_ms", "idle_p99_ms"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "untouched", encoder="torch-float32", threads=1)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command keeps what it needs while it runs; a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


def running_in(directory: Path) -> list[int]:
    """Processes whose command line or environment names the directory."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if str(directory).encode() in command_line(path)]


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found += map(int, task.read_text().split())
    return found


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:
        return b""


def few_texts(folder: Path) -> tuple[str, ...]:
    texts = folder / "texts.jsonl"
    texts.write_text("".join(json.dumps({"body": f"Order {n} was charged twice"}) + "\n" for n in range(30)) * 2)
    return "--quick", "--input", str(texts), "--text-field", "body", "--items", "24"


@pytest.mark.timeout(330)
def test_everything_is_measured_and_nothing_is_left(settings: Settings, temporary: Path) -> None:
    done = run(settings, "bench", *few_texts(temporary), "--json", timeout_s=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(found[name] > 0 for name in FIGURES), found
    assert found["encoder"] == "torch-float32"
    assert 20 <= found["items"] <= 24, "--items is a limit"
    assert found["idle_p99_ms"] >= found["idle_p50_ms"]
    assert len(found["pipeline_items_per_s"]) == len(found["encoder_items_per_s"]) == 1
    assert found["latencies"] == 20
    assert any("only" in remark and "--input" in remark for remark in found["remarks"]), "so few are said to be few"
    assert not list(temporary.glob("recommender-bench-*"))
    assert not settings.state_dir.exists()
    wait_until(lambda: running_in(temporary) == [], "all processes to be gone", 10)


@pytest.mark.timeout(330)
def test_an_interrupt_leaves_no_process_behind(settings: Settings, temporary: Path) -> None:
    process = subprocess.Popen(
        command("bench", *few_texts(temporary)),
        env=environment(settings),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
    )
    try:
        worker = b"celery_recommender\0worker"
        wait_until(
            lambda: any(worker in command_line(Path(f"/proc/{pid}")) for pid in children_of(process.pid)),
            "the worker",
            240,
        )
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "interrupted" in errors
    wait_until(lambda: running_in(temporary) == [], "all processes to be gone", 10)
    assert not list(temporary.glob("recommender-bench-*"))


def test_too_few_texts_are_an_error(settings: Settings, tmp_path: Path) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text("text\n" + "the same\nTHE SAME\n" * 30)
    done = run(settings, "bench", "--input", str(texts))
    assert done.returncode == 1
    assert "1 different texts; at least 20 are needed" in done.stderr
    assert list(tmp_path.iterdir()) == [texts]
