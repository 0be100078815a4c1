"""Where each millisecond of the pipeline goes: processor time of all threads of a worker, by stage."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.output import publish, show, timed
from benchmarks.profiled_worker import CLOCK, TICK_S
from benchmarks.report import Report, Row, machine
from benchmarks.table import number
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.measuring import Figure, Throughput, items_of, through_stream, warm_up
from celery_recommender.sandbox import ProcessFailed, RunningWorker, log_end, running_worker, wait_for

PAGE = Path(__file__).parents[1] / "docs" / "profile.md"
BEGIN, END = "<!-- figures: python -m benchmarks profile --write -->", "<!-- end of figures -->"

_LEAST_MS = 0.005
_CLOCK_S = 30.0
NATIVE = "the model's library, its threads"
NOTES = (
    f"Every {TICK_S * 1000:.0f} ms a thread in the worker looks at what the others do, and at their processor time.",
    "The worker is some per cent slower for it; what that thread itself takes is left out.",
    "Threads run at the same time, on several processors: processor time per item may exceed the time per item.",
)


@dataclass(frozen=True)
class Profile:
    """Where the time of some items went.

    Attributes:
        throughput: of the items.
        spent_ms: processor milliseconds per item, by thread and stage.
        native_ms: the same of threads that are not Python's.
        encoder: that the worker had.
    """

    throughput: Throughput
    spent_ms: Mapping[tuple[str, str], float]
    native_ms: float
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
    """One worker that has seen no text, with a clock in it, while it decides all of them."""
    with bench_settings() as settings:
        clock = settings.state_dir / "clock.json"
        command = [sys.executable, "-m", "benchmarks.profiled_worker", str(clock)]
        with running_worker(settings, command) as worker:
            warm_up(worker)
            found = _profiled(worker, texts, clock)
    threads: Counter[str] = Counter()
    stages: Counter[str] = Counter({NATIVE: found.native_ms})
    for (thread, stage), ms in found.spent_ms.items():
        threads[thread] += ms  # type: ignore[assignment]
        stages[stage] += ms  # type: ignore[assignment]
    wall_ms = found.throughput.seconds * 1000 / found.throughput.items
    return Report(
        f"profile --texts {texts.name}",
        "Where each millisecond goes",
        f"{texts.subject}, encoder {found.encoder}",
        [_row(stage, ms) for stage, ms in stages.most_common() if ms >= _LEAST_MS],
        {
            "from the first append to the last event, ms per item": round(wall_ms, 3),
            "processor time of the worker, ms per item": round(sum(stages.values()), 3),
            "by Python thread": {name: round(ms, 3) for name, ms in threads.most_common() if ms >= _LEAST_MS},
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
        "| stage | processor ms per item |",
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
    return Row(Figure(stage, "ms per item", (ms,)))


def _profiled(worker: RunningWorker, texts: Texts, clock: Path) -> Profile:
    items = items_of(texts.texts)
    before = _read(worker, clock)
    throughput = through_stream(worker, items)
    after = _read(worker, clock)
    spent = {where: seconds - before.spent_s.get(where, 0.0) for where, seconds in after.spent_s.items()}
    native_s = after.process_s - before.process_s - sum(spent.values())
    status = read_status(worker.client.redis, worker.client.keys) or {}
    return Profile(
        throughput,
        {where: s * 1000 / len(items) for where, s in spent.items() if where[1] != CLOCK},
        max(0.0, native_s) * 1000 / len(items),
        str(status.get("encoder", "unknown")),
    )


@dataclass(frozen=True)
class _Reading:
    """The figures that the clock has written.

    Attributes:
        process_s: processor seconds of the process since its start.
        spent_s: the same by Python thread and stage.
    """

    process_s: float
    spent_s: Mapping[tuple[str, str], float]


def _read(worker: RunningWorker, clock: Path) -> _Reading:
    """The next figures."""
    now = time.time()
    try:
        wait_for(worker.require, lambda: clock.exists() and json.loads(clock.read_text())["at"] > now, _CLOCK_S)
    except ProcessFailed as error:
        raise ProcessFailed(f"the clock is silent: {error}; {log_end(worker.log)}") from error
    said = json.loads(clock.read_text())
    return _Reading(said["process_s"], {(thread, stage): seconds for thread, stage, seconds in said["spent_s"]})
