"""One item to a worker: idle, and under half of the load that it can take; beside embedding one text."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from benchmarks.child import Child
from benchmarks.encoder_pair import Encoders
from benchmarks.output import publish, show, timed
from benchmarks.report import Report, Row
from benchmarks.rounds import Rates, fresh_worker
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.measuring import items_of, one_item_ms, percentile, through_stream
from celery_recommender.sandbox import RunningWorker

TICK_S = 0.02
_LOAD = "load"


@dataclass(frozen=True)
class Latencies:
    """Milliseconds, in pairs.

    Attributes:
        item_ms: from the append to the event.
        encode_ms: the same text to the encoder alone.
    """

    item_ms: tuple[float, ...]
    encode_ms: tuple[float, ...]


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=200, show_default=True, help="Items sent one by one, in each round.")
@click.option("--rounds", default=3, show_default=True)
def latency(name: str, items: int, rounds: int) -> None:
    """One item to a worker, idle and under half load."""
    report = measure(measured_texts(name), items, rounds)
    show(report)
    publish([report])


@timed
def measure(texts: Texts, items: int, rounds: int) -> Report:
    """In each round a worker that has seen no text: first idle, then under load."""
    figures = Rates("ms")
    load = Rates("items/s")
    with bench_settings() as settings, Encoders(settings) as encoders:
        for number in range(rounds):
            with fresh_worker(settings, f"round-{number}") as worker:
                _note(figures, "idle", idle(worker, encoders.alone, texts.texts, items))
                half = through_stream(worker, items_of(texts.texts[: 10 * items], "rate")).items_per_s / 2
                load.note("half load", half)
                with _loaded(worker, texts.texts, half):
                    _note(figures, "half load", idle(worker, encoders.alone, texts.texts, items, start=items))
    rows = [
        Row(figures.figure(f"{when}: one item, {which}"), figures.figure(f"{when}: one text to the encoder, {which}"))
        for when in ("idle", "half load")
        for which in ("p50", "p99")
    ]
    gap = figures.figure("idle: more than one text to the encoder, p50")
    return Report(
        "latency",
        "One item at a time",
        f"{texts.name}, {items} items in each round, encoder {encoders.encoder}, {encoders.threads} threads",
        [*rows, Row(gap, goal="≤ 5 ms"), Row(load.figure("half load"))],
        notes=["From append to event; each item is followed by the same text to the encoder in a process of its own."],
    )


def _note(figures: Rates, when: str, found: Latencies) -> None:
    for which, percent in (("p50", 50), ("p99", 99)):
        figures.note(f"{when}: one item, {which}", percentile(found.item_ms, percent))
        figures.note(f"{when}: one text to the encoder, {which}", percentile(found.encode_ms, percent))
    pairs = [item - text for item, text in zip(found.item_ms, found.encode_ms, strict=True)]
    figures.note(f"{when}: more than one text to the encoder, p50", percentile(pairs, 50))


def idle(worker: RunningWorker, encoder: Child, texts: Sequence[str], count: int, start: int = 0) -> Latencies:
    """Send items one by one, each after the event of the one before.

    Args:
        worker: that decides.
        encoder: runs ``benchmarks.worker_encoder``.
        texts: what they say; each gets a number, since a worker knows the texts it has seen.
        count: of items.
        start: their first number.
    """
    item_ms, encode_ms = [], []
    for number in range(start, start + count):
        text = f"{texts[number % len(texts)]} ({number})"
        item_ms.append(one_item_ms(worker, text, number))
        encode_ms.append(encoder.ask("encode", texts=[text])["seconds"] * 1000)
    return Latencies(tuple(item_ms), tuple(encode_ms))


@contextmanager
def _loaded(worker: RunningWorker, texts: Sequence[str], items_per_s: float) -> Iterator[None]:
    """Meanwhile another client sends at a steady rate."""
    stopping = threading.Event()
    sender = threading.Thread(target=_send, args=(worker, texts, items_per_s, stopping), daemon=True)
    sender.start()
    try:
        yield
    finally:
        stopping.set()
        sender.join()


def _send(worker: RunningWorker, texts: Sequence[str], items_per_s: float, stopping: threading.Event) -> None:
    client = worker.another_client()
    started, sent = time.monotonic(), 0
    while not stopping.wait(TICK_S):
        due = int((time.monotonic() - started) * items_per_s)
        client.ingest_many(
            {"id": str(number), "collection": _LOAD, "text": f"{texts[number % len(texts)]} [{number}]"}
            for number in range(sent, due)
        )
        sent = max(sent, due)
    client.close()
