"""Live items while a catalogue is filled in: how long they take, beside an idle worker in the same run."""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import load_texts
from benchmarks.worker_process import RunningWorker, deterministic_worker, running_worker

LIVE_EVERY_S = 0.25
SUBJECTS, WORDS_OF_ONE = 2000, 40
COMMON_WORDS = 5000


@click.command()
@click.option("--items", type=int, help="Of the backfill.  [default: 100,000, or 3,000 with the model]")
@click.option("--model", is_flag=True, help="With the real model instead of the deterministic encoder.")
def backfill(items: int | None, *, model: bool) -> None:
    """Live items while a catalogue is filled in."""
    report = measure(items, model=model)
    show(report)
    publish([report])


@timed
def measure(items: int | None, *, model: bool) -> Report:
    """Latency of live items, from append to event, idle and during a backfill of so many items.

    Args:
        items: of the backfill.
        model: with the real model; without it the deterministic encoder, which shows what does not depend on the model.
    """
    count = items or (3000 if model else 100_000)
    worker_context = running_worker if model else deterministic_worker
    with worker_context() as worker:
        live = _Live(worker, load_texts("openoffice", 2000) if model else [_text(n) for n in range(2000)])
        live.latencies(rounds=20)
        idle = live.latencies(rounds=100)
        texts = itertools.islice(_texts(model=model), count)
        started = time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            bulk = ({"id": f"bulk {n}", "text": text} for n, text in enumerate(texts))
            filling = pool.submit(worker.client.backfill, bulk, silent=True)
            most_waiting = 0
            busy: list[float] = []
            while not filling.done():
                most_waiting = max(most_waiting, worker.client.log.length())
                busy += live.latencies(rounds=1)
                time.sleep(LIVE_EVERY_S)
            filling.result()
        seconds = time.perf_counter() - started
    facts = {
        "items of the backfill": count,
        "backfill items/s": round(count / seconds, 1),
        "live items during it": len(busy),
        "commands waiting at most": most_waiting,
        **_figures("idle", idle),
        **_figures("during the backfill", busy),
        "p50, as a multiple of idle": round(statistics.median(busy) / statistics.median(idle), 1),
        "p99, as a multiple of idle": round(_p99(busy) / _p99(idle), 1),
    }
    name = f"backfill{' --model' if model else ''}"
    return Report(name, "Live items during a backfill", facts=facts)


class _Live:
    """A producer that sends one item and waits for its event."""

    def __init__(self, worker: RunningWorker, texts: list[str]) -> None:
        self._client = worker.another_client()
        self._texts = itertools.cycle(texts)
        self._number = itertools.count()

    def latencies(self, rounds: int) -> list[float]:
        found = []
        for _ in range(rounds):
            started = time.perf_counter()
            position = self._client.ingest({"id": f"live {next(self._number)}", "text": next(self._texts)})
            self._client.outcome(position, timeout_s=120)
            found.append((time.perf_counter() - started) * 1000)
        return found


def _texts(*, model: bool) -> Iterator[str]:
    return itertools.cycle(load_texts("openoffice")) if model else map(_text, itertools.count())


def _text(number: int) -> str:
    """A dozen words, most of them of one subject, as in real texts: words drawn from all alike make vectors that lie
    equally far from each other, unlike any real catalogue.
    """
    chance = random.Random(number)
    subject = chance.randrange(SUBJECTS)
    return " ".join(
        f"word{subject * WORDS_OF_ONE + int(WORDS_OF_ONE * chance.random() ** 2)}"
        if chance.random() < 0.7
        else f"common{int(COMMON_WORDS * chance.random() ** 3)}"
        for _ in range(12)
    )


def _figures(name: str, latencies: list[float]) -> dict[str, Any]:
    return {
        f"{name} p50 ms": round(statistics.median(latencies), 1),
        f"{name} p99 ms": round(_p99(latencies), 1),
        f"{name} max ms": round(max(latencies), 1),
    }


def _p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98] if len(latencies) > 1 else latencies[0]
