"""Where each millisecond of the pipeline goes: all threads of a worker, sampled from outside by py-spy."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report, Row, machine
from benchmarks.rounds import fresh_worker
from benchmarks.stages import by_stage
from benchmarks.table import number
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from workers.benchmark.doors import Passage, items_of, through_stream
from workers.benchmark.figures import Figure
from workers.sandbox import ProcessFailed, RunningWorker, wait_for

PAGE = Path(__file__).parents[1] / "docs" / "profile.md"
BEGIN, END = "<!-- figures: python -m benchmarks profile --write -->", "<!-- end of figures -->"

SAMPLES_PER_S = 200
NOTES = (
    f"Sampled {SAMPLES_PER_S} times a second by py-spy, which stops the worker for a moment each time.",
    "Stages of different threads run at the same time, so they add up to more than what an item takes.",
)

_ATTACHED_S = 30.0


@dataclass(frozen=True)
class Profile:
    """One passage of items, looked into.

    Attributes:
        passage: what came of the items.
        cpu_ms: processor time of the worker, of all its threads, per item.
        samples: milliseconds per item that a thread was active, by thread and stage.
        encoder: that the worker had.
    """

    passage: Passage
    cpu_ms: float
    samples: Mapping[tuple[str, str], float]
    encoder: str


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", type=int, help="Take only so many texts.  [default: all]")
@click.option("--write", is_flag=True, help="Write the figures into docs/profile.md.")
def profile(name: str, items: int | None, *, write: bool) -> None:
    """Where each millisecond of the pipeline goes."""
    report = measure(measured_texts(name, items))
    show(report)
    publish([report])
    if write:
        fill(PAGE, report)


@timed
def measure(texts: Texts) -> Report:
    """One worker that has seen no text; its threads are sampled while it decides all of them."""
    with bench_settings() as settings, fresh_worker(settings, "profile") as worker:
        found = _profiled(worker, texts)
    threads: Counter[str] = Counter()
    stages: Counter[str] = Counter()
    for (thread, stage), ms in found.samples.items():
        threads[thread] += ms  # type: ignore[assignment]
        stages[stage] += ms  # type: ignore[assignment]
    active = sum(stages.values())
    wall_ms = found.passage.seconds * 1000 / found.passage.items
    return Report(
        f"profile --texts {texts.name}",
        "Where each millisecond goes",
        f"{texts.subject}, encoder {found.encoder}",
        [_row(stage, ms) for stage, ms in stages.most_common()],
        {
            "from the first append to the last event, ms per item": round(wall_ms, 3),
            "processor time of the worker, ms per item": round(found.cpu_ms, 3),
            "its Python threads were active, ms per item": round(active, 3),
            "the rest: threads of the model's library, ms per item": round(max(0.0, found.cpu_ms - active), 3),
            "active, ms per item, by thread": {name: round(ms, 3) for name, ms in threads.most_common() if ms >= 0.01},
        },
        NOTES,
    )


def fill(page: Path, report: Report) -> None:
    """Put the figures into a page, between the marks."""
    text = page.read_text(encoding="utf-8")
    found_on = machine()
    lines = [
        BEGIN,
        "",
        f"{report.subject}; {found_on['processors']} processors ({found_on['processor']}).",
        "",
        "| stage | ms of a thread per item |",
        "| --- | ---: |",
        *(f"| {row.figure.what} | {number(row.figure.median)} |" for row in report.rows),
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {_shown(value)} |" for name, value in report.facts.items()),
        "",
        END,
    ]
    filled, times = re.subn(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: "\n".join(lines), text, flags=re.DOTALL)
    if times != 1:
        raise ValueError(f"{page} has no place for the figures")
    page.write_text(filled, encoding="utf-8")


def _shown(value: object) -> str:
    return ", ".join(f"`{name}` {one}" for name, one in value.items()) if isinstance(value, Mapping) else str(value)


def _row(stage: str, ms: float) -> Row:
    return Row(Figure(stage, "ms of a thread per item", (ms,)))


def _profiled(worker: RunningWorker, texts: Texts) -> Profile:
    items = items_of(texts.texts)
    samples = worker.settings.state_dir / "samples.txt"
    with _sampling(worker, samples):
        cpu_s = worker.cpu_s()
        passage = through_stream(worker, items)
        cpu_s = worker.cpu_s() - cpu_s
    per_item = 1000 / SAMPLES_PER_S / len(items)
    found = by_stage(samples.read_text(encoding="utf-8").splitlines())
    status = worker.client.redis.get(worker.client.keys.status)
    encoder = re.search(r'"encoder": ?"([^"]+)"', status.decode() if isinstance(status, bytes) else "")
    return Profile(
        passage,
        cpu_s * 1000 / len(items),
        {where: count * per_item for where, count in found.items()},
        encoder[1] if encoder else "unknown",
    )


@contextmanager
def _sampling(worker: RunningWorker, samples: Path) -> Iterator[None]:
    """py-spy looks at the worker meanwhile, and then writes its samples."""
    log = samples.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(_program(), "record", "--pid", str(worker.process.pid), "--output", str(samples), "--format", "raw"),
                *("--rate", str(SAMPLES_PER_S), "--threads", "--full-filenames", "--duration", "unlimited"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def require() -> None:
        if process.poll() is not None:
            raise ProcessFailed(f"py-spy may not look at the worker: {log.read_text()[-300:]}")

    try:
        wait_for(require, lambda: "Sampling" in log.read_text(), _ATTACHED_S)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _program() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ProcessFailed("there is no py-spy: pip install 'celery-recommender[dev]'")
    return found
