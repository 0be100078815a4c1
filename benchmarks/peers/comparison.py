"""The pipeline beside what one would otherwise use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.child import Child
from benchmarks.encoder_pair import Encoders
from benchmarks.output import publish, show, timed
from benchmarks.peers.celery_peer import CeleryPeer
from benchmarks.peers.environments import ROOT, NotInstalled, interpreter
from benchmarks.pipeline import FULL, STOCK
from benchmarks.report import Report, Row
from benchmarks.rounds import Rates, fresh_worker
from benchmarks.texts import CHOICES, Texts, measured_texts
from benchmarks.vectors import through_index
from benchmarks.worker_process import bench_settings
from celery_recommender.measuring import WARM_UP, items_of, through_stream
from celery_recommender.sandbox import ProcessFailed
from celery_recommender.settings import Settings, environment_of_others

BLOCK = 256
"""Texts that a library is handed at a time."""

HNSWLIB = "hnswlib alone, vectors at hand"
HAND_WRITTEN = "a hand-written Celery worker"
CELERY_BATCHES = "a Celery worker with celery-batches"
LIBRARIES = {
    "txtai": "txtai, batchsearch and upsert",
    "semhash": "semhash, deduplicating the whole file at once",
    "pgvector": "encode, and PostgreSQL with pgvector",
}
NAMES = ("hand-written", "celery-batches", *LIBRARIES)

_SHARE_OF_ONE_BY_ONE = 8  # a worker that does one item at a time gets an eighth of the texts

NOTES = (
    f"Libraries are handed {BLOCK} texts at a time.",
    "txtai embeds a text twice: to search for it, and to add it.",
    "semhash sees all texts at once, finds duplicates only, and keeps nothing.",
    f"The hand-written worker has 1/{_SHARE_OF_ONE_BY_ONE} of the texts in each round.",
    "All peers compute with the same model files, torch and number of threads, in float32, which is their default.",
    "The pipeline computes with the encoder that it chose.",
)

Measuring = Callable[[], float]


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=2000, show_default=True, help="Take only so many texts.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Only this peer; repeatable.")
def peers(name: str, items: int, rounds: int, only: tuple[str, ...]) -> None:
    """The pipeline beside what one would otherwise use."""
    report = measure(measured_texts(name, items), rounds, only or NAMES)
    show(report)
    publish([report])


@timed
def measure(texts: Texts, rounds: int, names: Sequence[str] = NAMES) -> Report:
    """In each round each has its turn on the same texts; the notes name what cannot be installed."""
    rates, vectors = Rates(), Rates("vectors/s")
    notes = list(NOTES)
    with bench_settings() as settings, Encoders(settings) as encoders, ExitStack() as stack:
        path = settings.state_dir / "vectors.npy"
        encoders.alone.ask("encode", texts=texts.texts, save_to=str(path))
        measurings = dict(_peers(names, texts.texts, settings, encoders.threads, stack, notes))
        for number in range(rounds):
            rates.note(STOCK, encoders.stock_rate(texts.texts))
            vectors.note(HNSWLIB, len(texts.texts) / through_index(encoders.stock, path, BLOCK))
            with fresh_worker(settings, f"round-{number}") as worker:
                rates.note(FULL, through_stream(worker, items_of(texts.texts)).items_per_s)
            for what, measuring in measurings.items():
                rates.note(what, measuring())
    full = rates.figure(FULL)
    found = [rates.figure(what) for what in (STOCK, *measurings)]
    goals = {HAND_WRITTEN: "≥ 25"}
    return Report(
        f"peers --texts {texts.name}",
        f"Beside what one would otherwise use: {texts.name}",
        f"{texts.subject}, encoder {encoders.encoder}, {encoders.threads} threads",
        [
            Row(full),
            *(Row(figure) for figure in found),
            Row(vectors.figure(HNSWLIB)),
            *(Row(full, figure, goals.get(figure.what, "")) for figure in found),
        ],
        notes=notes,
    )


def _peers(
    names: Sequence[str], texts: Sequence[str], settings: Settings, threads: int, stack: ExitStack, notes: list[str]
) -> Iterator[tuple[str, Measuring]]:
    """Those that can be had, started, by what they are called in the table."""
    for name in names:
        try:
            if name == "hand-written":
                part = texts[: max(1, len(texts) // _SHARE_OF_ONE_BY_ONE)]
                yield HAND_WRITTEN, _celery(CeleryPeer(settings, threads), part, stack)
            elif name == "celery-batches":
                rival = CeleryPeer(
                    settings,
                    threads,
                    module="benchmarks.peers.celery_batches_app",
                    python=str(interpreter(name)),
                    pool=("--pool=threads", "--concurrency=1"),
                )
                yield CELERY_BATCHES, _celery(rival, texts, stack)
            else:
                yield LIBRARIES[name], _library(name, texts, settings.state_dir, threads, stack)
        except (NotInstalled, ProcessFailed) as error:
            notes.append(f"Not measured: {name}: {error}")
            click.echo(f"  {notes[-1]}", err=True)


def _celery(rival: CeleryPeer, texts: Sequence[str], stack: ExitStack) -> Measuring:
    stack.enter_context(rival)
    rival.seconds(WARM_UP)
    return lambda: len(texts) / rival.seconds(texts)


def _library(name: str, texts: Sequence[str], directory: Path, threads: int, stack: ExitStack) -> Measuring:
    environment = {**environment_of_others(), "PYTHONPATH": str(ROOT)}
    module = f"benchmarks.peers.{name}_peer"
    child = stack.enter_context(Child(module, environment, directory / f"{name}.log", str(interpreter(name))))
    child.ask("load", texts=WARM_UP, threads=threads)
    return lambda: len(texts) / float(child.ask("run", texts=texts, block=BLOCK)["seconds"])
