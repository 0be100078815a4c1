"""Stream to published verdict, and through ``ingest.delay``; beside the encoder alone and stock encode."""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np

from benchmarks.celery_results import celery_app, through_celery
from benchmarks.encoder_pair import Encoders
from benchmarks.output import publish, show, timed
from benchmarks.report import Report, Row
from benchmarks.rounds import Rates, fresh_worker
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.measuring import Throughput, items_of, through_stream
from celery_recommender.sandbox import RunningWorker
from celery_recommender.settings import Settings
from recommender_engine import open_recommender
from recommender_engine.items import ItemProcessed

STOCK = "SentenceTransformer.encode(batch_size=32), float32"
ALONE = "the worker's encoder alone, all texts at once"
FULL = "the pipeline, with verdicts"
PLAIN = "the pipeline, judging by cosine alone"
CELERY = "the pipeline with verdicts, through ingest.delay"


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", type=int, help="Take only so many texts.  [default: all]")
@click.option("--rounds", default=3, show_default=True)
@click.option("--index", default="auto", show_default=True, type=click.Choice(["auto", "exact", "hnsw"]))
def pipeline(name: str, items: int | None, rounds: int, index: str) -> None:
    """Stream to published verdict, beside its limits."""
    report = measure(measured_texts(name, items), rounds, index)
    show(report)
    publish([report])


@timed
def measure(texts: Texts, rounds: int, index: str = "auto") -> Report:
    """In each round each has all texts once; a worker that has seen none is started for each measurement."""
    rates, costs = Rates(), Rates("ms of processor time per item")
    with bench_settings() as settings, Encoders(settings) as encoders:
        for number in range(rounds):
            rates.note(STOCK, encoders.stock_rate(texts.texts))
            rates.note(ALONE, encoders.alone_rate(texts.texts))
            for what, plain in ((PLAIN, True), (FULL, False)):
                run = _by_stream(settings, f"{'plain' if plain else 'full'}-{number}", texts, index, plain)
                rates.note(what, run.throughput.items_per_s)
                costs.note(what, run.cpu_ms)
            rates.note(CELERY, _by_celery(settings, f"door-{number}", texts, index))
        encoder = encoders.encoder
    stock, alone, full = (rates.figure(what) for what in (STOCK, ALONE, FULL))
    return Report(
        f"pipeline --texts {texts.name}",
        f"The pipeline: {texts.name}",
        f"{texts.subject}, encoder {encoder}, {encoders.threads} threads, index {index}",
        [
            Row(stock),
            Row(alone, stock, "≥ 2.0 (OpenVINO), ≥ 1.7 (core install)"),
            Row(rates.figure(PLAIN), alone, "≥ 0.90"),
            Row(full, alone, "≥ 0.80"),
            Row(full, stock),
            Row(rates.figure(CELERY), full, "≥ 0.8"),
            Row(costs.figure(PLAIN)),
            Row(costs.figure(FULL)),
        ],
        _facts(run),
    )


@dataclass(frozen=True)
class _Run:
    """One measurement of a worker that had seen no text.

    Attributes:
        throughput: of the items.
        cpu_ms: processor time of the worker per item.
        peak_mb: largest resident size of the worker.
        recall: recall@10 of its index against exact search, sampled on the state that it left.
    """

    throughput: Throughput
    cpu_ms: float
    peak_mb: float
    recall: float | str


def _by_stream(settings: Settings, name: str, texts: Texts, index: str, plain: bool) -> _Run:
    with fresh_worker(settings, name) as worker:
        _configure(worker, index, plain)
        before = worker.cpu_s()
        throughput = _whole(through_stream(worker, items_of(texts.texts)))
        cpu_ms = (worker.cpu_s() - before) * 1000 / throughput.items
        peak_mb = worker.peak_memory_mb()
        worker.stop()
        return _Run(throughput, cpu_ms, peak_mb, _sampled_recall(worker.settings))


def _sampled_recall(settings: Settings) -> float | str:
    engine = open_recommender(settings.partition_dir)
    try:
        recalls = engine.sampled_recall()
    finally:
        engine.close()
    return round(float(np.mean(list(recalls.values()))), 4) if recalls else "1 (exact index)"


def _by_celery(settings: Settings, name: str, texts: Texts, index: str) -> float:
    with fresh_worker(settings, name) as worker:
        _configure(worker, index, plain=False)
        app = celery_app(worker)
        try:
            return _whole(through_celery(worker, app, items_of(texts.texts))).items_per_s
        finally:
            app.close()


def _whole(throughput: Throughput) -> Throughput:
    if throughput.events[ItemProcessed.type] != throughput.items:
        raise RuntimeError(f"{throughput.items} items, but {throughput.events}")
    return throughput


def _configure(worker: RunningWorker, index: str, plain: bool) -> None:
    settings = {"index": index, "rule": "cosine" if plain else "learned"}
    worker.client.outcome(worker.client.configure("default", settings))


def _facts(run: _Run) -> dict[str, object]:
    """Of the last measurement, with verdicts."""
    throughput = run.throughput
    return {
        "events": dict(throughput.events),
        "embedding, ms per item": round(throughput.embed_ms / throughput.items, 3),
        "everything between vector and event, ms per item": round(throughput.decide_ms / throughput.items, 3),
        "ms per item in all": round(throughput.seconds * 1000 / throughput.items, 3),
        "peak memory of the worker, MiB": run.peak_mb,
        "recall@10 of the index": run.recall,
    }
