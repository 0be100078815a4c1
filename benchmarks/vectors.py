"""Items that bring their vector, judged by cosine alone: beside hnswlib alone with the same parameters."""

from __future__ import annotations

import click
import numpy as np

from benchmarks.output import publish, show, timed
from benchmarks.report import Report, Row
from benchmarks.rounds import Rates, fresh_worker
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.benchmark.encoders import Encoders
from celery_recommender.benchmark.vectors import spread, through_index, through_worker
from recommender_engine.index import DEFAULT_PARAMETERS

GIVEN, LIMIT, ALL_THREADS = "vectors given, through the worker", "hnswlib, add and query", "hnswlib, every processor"


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=20_000, show_default=True, help="Vectors; means of real ones where there are too few.")
@click.option("--rounds", default=3, show_default=True)
def vectors(name: str, items: int, rounds: int) -> None:
    """Vectors given, beside hnswlib alone."""
    report = measure(measured_texts(name, items), items, rounds)
    show(report)
    publish([report])


@timed
def measure(texts: Texts, items: int, rounds: int) -> Report:
    """Asking for neighbours and adding, a batch at a time, in a fresh index each."""
    rates = Rates("vectors/s")
    with bench_settings() as settings, Encoders(settings) as encoders:
        path = settings.state_dir / "vectors.npy"
        encoders.alone.ask("encode", texts=texts.texts, save_to=str(path))
        given = spread(np.load(path, allow_pickle=False), items)
        np.save(path, given, allow_pickle=False)
        for number in range(rounds):
            for what, threads in ((LIMIT, DEFAULT_PARAMETERS.threads), (ALL_THREADS, encoders.threads)):
                rates.note(what, items / through_index(encoders.stock, path, settings.batch_items, threads))
            with fresh_worker(settings, f"round-{number}") as worker:
                rates.note(GIVEN, through_worker(worker, given, "vectors").items_per_s)
    limit, all_threads = rates.figure(LIMIT), rates.figure(ALL_THREADS)
    graph = DEFAULT_PARAMETERS
    return Report(
        "vectors",
        "Vectors given",
        f"{items:,} vectors, {_made_of(texts, items)}; M {graph.m}, ef_construction {graph.ef_construction}",
        [
            Row(limit, note=f"{graph.threads} thread{'s' if graph.threads > 1 else ''}, as our index"),
            Row(all_threads, note=f"{encoders.threads} threads"),
            Row(rates.figure(GIVEN), limit, "≥ 0.7"),
            Row(rates.figure(GIVEN), all_threads),
        ],
    )


def _made_of(texts: Texts, items: int) -> str:
    real = len(texts.texts)
    return f"of {texts.name}" if items <= real else f"{real:,} of {texts.name}, the others means of three of these"
