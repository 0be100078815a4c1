"""The encoders beside stock ``SentenceTransformer.encode`` in float32: one process each, their rounds by turns.

The limit beside the figure: how fast the same library multiplies matrices of the model's shapes in the same number
type, and which part of that the encoder achieves.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.child import Child
from benchmarks.encoder_process import STOCK
from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import load_texts
from celery_recommender.settings import environment_of_others, process_environment
from recommender_engine.embedding.backends import INT8, available

ROUNDS = 7
TEXTS = 3000
COLUMNS = ("texts/s", "x stock", "GFLOP/s", "products GFLOP/s", "one text ms", "cosine min", "cosine mean")


@click.command()
@click.option("--texts", default=TEXTS, show_default=True, help="Of Banking77.")
@click.option("--rounds", default=ROUNDS, show_default=True)
def encoders(texts: int, rounds: int) -> None:
    """The encoders beside stock encode in float32, and beside what the processor multiplies."""
    report = measure(texts, rounds)
    show(report)
    publish([report])


@timed
def measure(count: int, rounds: int) -> Report:
    """Figures of each encoder, each in a process of its own."""
    names = (STOCK, *available("cpu"), *((INT8,) if importlib.util.find_spec("nncf") else ()))
    texts = load_texts("banking77", count)
    with tempfile.TemporaryDirectory(prefix="recommender-bench-") as folder, ExitStack() as stack:
        processes = {name: stack.enter_context(_child(name, Path(folder))) for name in names}
        for name, process in processes.items():  # they load side by side, and measure one after the other
            process.begin("load", name=name, texts=texts, cache=f"{folder}/cache")
        for process in processes.values():
            process.answer()
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, process in processes.items():
                seconds[name].append(process.ask("texts")["seconds"])
        gflop = processes[STOCK].ask("work")["gflop"]
        reference = _vectors(processes[STOCK], Path(folder))
        count = len(reference)
        rows = {}
        for name, process in processes.items():
            took, cosines = statistics.median(seconds[name]), (_vectors(process, Path(folder)) * reference).sum(axis=1)
            ratios = [stock / one for stock, one in zip(seconds[STOCK], seconds[name], strict=True)]
            figures = (
                round(count / took, 1),
                round(statistics.median(ratios), 2),
                round(gflop / took, 1),
                round(process.ask("products")["gflop_per_s"], 1),
                round(1000 * process.ask("one")["seconds"], 2),
                round(float(cosines.min()), 5),
                round(float(cosines.mean()), 5),
            )
            rows[name] = dict(zip(COLUMNS, figures, strict=True))
    subject = f"Banking77, {count:,} texts, {rounds} rounds"
    return Report("encoders", "Encoders beside stock encode in float32", subject, facts=rows)


def _child(name: str, directory: Path) -> Child:
    """A process for an encoder: ours as in a worker, the stock call with the user's environment."""
    ours = {"OMP_WAIT_POLICY": "PASSIVE", **process_environment()}
    return Child(
        "benchmarks.encoder_process", environment_of_others() if name == STOCK else ours, directory / f"{name}.log"
    )


def _vectors(process: Child, directory: Path) -> Any:
    """Vectors of all texts, of unit length."""
    path = directory / "vectors.npy"
    process.ask("texts", save_to=str(path))
    found = np.load(path, allow_pickle=False)
    return found / np.linalg.norm(found, axis=1, keepdims=True)
