"""Beside one process that keeps a core busy: how much of the throughput that is left, is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report, Row
from benchmarks.rounds import Rates, fresh_worker
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.measuring import items_of, through_stream
from celery_recommender.sandbox import stop
from celery_recommender.settings import Settings
from recommender_engine.embedding.processors import usable_processors

ALONE, BESIDE, LEFT = "alone", "beside a busy process", "what is left of the processors' time, of the rate alone"


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=4000, show_default=True, help="Texts, half of which go each way in each round.")
@click.option("--rounds", default=3, show_default=True)
def neighbour(name: str, items: int, rounds: int) -> None:
    """Throughput beside a process that keeps a core busy."""
    report = measure(measured_texts(name, items), rounds)
    show(report)
    publish([report])


@timed
def measure(texts: Texts, rounds: int) -> Report:
    """The neighbour's share is measured: its processor time, of that of all usable processors."""
    rates, shares = Rates(), Rates("of the processors' time")
    with bench_settings() as settings:
        for number in range(rounds):
            halves = [texts.texts[(number + which) % 2 :: 2] for which in (0, 1)]
            alone, _ = _throughput(settings, f"alone-{number}", halves[0])
            with _busy() as used_s:
                beside, taken = _throughput(settings, f"beside-{number}", halves[1], used_s)
            rates.note(ALONE, alone)
            rates.note(BESIDE, beside)
            rates.note(LEFT, alone * (1 - taken))
            shares.note("the neighbour took", taken)
    return Report(
        "neighbour",
        "Beside a busy neighbour",
        f"{texts.subject}, {usable_processors()} processors",
        [
            Row(rates.figure(ALONE)),
            Row(rates.figure(BESIDE), rates.figure(LEFT), "≥ 0.9"),
            Row(rates.figure(BESIDE), rates.figure(ALONE)),
            Row(shares.figure("the neighbour took")),
        ],
        notes=["The neighbour is a Python process in an endless loop, with the worker's priority."],
    )


def _throughput(
    settings: Settings, name: str, texts: Sequence[str], used_s: Callable[[], float] = lambda: 0.0
) -> tuple[float, float]:
    with fresh_worker(settings, name) as worker:
        before, started = used_s(), time.monotonic()
        rate = through_stream(worker, items_of(texts)).items_per_s
        taken = (used_s() - before) / (time.monotonic() - started) / usable_processors()
    return rate, taken


@contextmanager
def _busy() -> Iterator[Callable[[], float]]:
    """A process that computes for ever; gives the processor seconds that it has had."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)

    def used_s() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    try:
        yield used_s
    finally:
        stop(process)
