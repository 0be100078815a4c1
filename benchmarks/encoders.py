"""The encoders beside stock ``SentenceTransformer.encode`` in float32: one process each, their rounds by turns.

The limit beside the figure: how fast the same library multiplies matrices of the model's shapes in the same number
type, and which part of that the encoder achieves.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.encoder_process import STOCK
from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import load_texts
from recommender.embedding.backends import INT8, available

ROUNDS = 7
TEXTS = 3000
COLUMNS = ("texts/s", "x stock", "GFLOP/s", "products GFLOP/s", "one text ms", "cosine min", "cosine mean")


class Process:
    """An encoder at work elsewhere."""

    def __init__(self, name: str, texts: Path) -> None:
        self._vectors = texts.parent / f"{name}.npy"
        command = [sys.executable, "-m", "benchmarks.encoder_process", name, str(texts), str(self._vectors)]
        # As in a worker; the stock call runs as anybody's would.
        environment = dict(os.environ) if name == STOCK else {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def ready(self) -> None:
        """Wait until the model is loaded."""
        self._answer()

    def ask(self, what: str) -> Any:
        """One measurement."""
        assert self._process.stdin is not None
        print(what, file=self._process.stdin, flush=True)
        return self._answer()

    def vectors(self) -> Any:
        """Vectors of all texts, of unit length."""
        self.ask("vectors")
        found = np.load(self._vectors)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the encoder ended with code {self._process.wait(60)}")
        return json.loads(line)


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
    with tempfile.TemporaryDirectory(prefix="recommender-bench-") as folder, ExitStack() as stack:
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(load_texts("banking77", count)))
        processes = {name: stack.enter_context(Process(name, texts)) for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for process in processes.values():  # they load side by side, and measure one after the other
            process.ready()
        for _ in range(rounds):
            for name, process in processes.items():
                seconds[name].append(process.ask("texts"))
        gflop, reference = processes[STOCK].ask("gflop"), processes[STOCK].vectors()
        count = len(reference)
        rows = {}
        for name, process in processes.items():
            took, cosines = statistics.median(seconds[name]), (process.vectors() * reference).sum(axis=1)
            ratios = [stock / one for stock, one in zip(seconds[STOCK], seconds[name], strict=True)]
            figures = (
                round(count / took, 1),
                round(statistics.median(ratios), 2),
                round(gflop / took, 1),
                round(process.ask("products"), 1),
                round(process.ask("one"), 2),
                round(float(cosines.min()), 5),
                round(float(cosines.mean()), 5),
            )
            rows[name] = dict(zip(COLUMNS, figures, strict=True))
    subject = f"Banking77, {count:,} texts, {rounds} rounds"
    return Report("encoders", "Encoders beside stock encode in float32", subject, facts=rows)
