"""The cost of an item as a collection grows: vectors given as bytes, judged by their cosine alone.

The vectors are made of real ones: embeddings of Banking77's questions, each new vector a mixture of two of them with
some noise, so that they crowd as real ones do and no two are the same. hnswlib itself takes the same
vectors by turns with the engine, with the same parameters, threads and batches.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import hnswlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.output import RESULTS, publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import load_texts
from celery_recommender.owner.interpreter.garbage import collected_by_the_clock
from recommender_engine import EntryId, Recommender, decode_entry
from recommender_engine.embedding import KNOWN_MODELS, Encoder, ModelCatalogue
from recommender_engine.embedding.processors import usable_processors
from recommender_engine.evaluation import embed
from recommender_engine.index import DEFAULT_PARAMETERS, RECALL_AT, HnswParameters
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.opening import DATABASE
from recommender_engine.pipeline import Indexes
from recommender_engine.store import SqliteStore
from recommender_engine.testing import DeterministicEncoder

SIZES = (1_000, 10_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
SEED = 1
BATCH = 1_024  # as the worker takes them
WINDOW = 2_048  # items before each size that are timed
CANDIDATES = 50
TEXTS = 2_500
Vectors = NDArray[np.float32]


class GivenVectors:
    """``Encoders`` for items that bring their vectors."""

    names = (DEFAULT_MODEL,)

    def __init__(self, dimension: int) -> None:
        self._encoder = DeterministicEncoder(dimension)

    def encoder(self, name: str) -> Encoder:
        return self._encoder


def opened(directory: Path, dimension: int) -> tuple[Recommender, Indexes]:
    """An engine over a state directory, and its indexes."""
    directory.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(directory / DATABASE)
    indexes = Indexes(store, directory / "index", HnswParameters(threads=usable_processors()))
    return Recommender(store, GivenVectors(dimension), indexes), indexes


@click.command()
@click.option("--most", type=int, default=1_000_000, show_default=True, help="How far it grows, in items.")
def growth(most: int) -> None:
    """The cost of an item as a collection grows; to a million it takes half an hour."""
    report = measure(most)
    show(report)
    publish([report])


@timed
def measure(most: int) -> Report:
    """Figures for each of ``SIZES`` up to ``most`` items."""
    RESULTS.mkdir(exist_ok=True)
    sizes = [size for size in SIZES if size <= most] or [most]
    base = base_vectors()
    rows = []
    with tempfile.TemporaryDirectory(prefix="growth-", dir=RESULTS) as folder, collected_by_the_clock():
        nothing = opened_elsewhere(Path(folder) / "nothing")
        run = _Run(Path(folder) / "state", base, sizes[-1])
        for size in sizes:
            rows.append(run.grow_to(size, nothing))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        run.close()
    plot(rows, RESULTS / "growth.png")
    facts = {f"{row['items']:,} items": row for row in rows}
    return Report("growth", "What an item costs as a collection grows", "Vectors given, judged by cosine", facts=facts)


class _Run:
    """An engine and hnswlib, which take the same vectors by turns."""

    def __init__(self, directory: Path, base: Vectors, most: int) -> None:
        self._directory = directory
        self._vectors = vectors_like(base)
        self._dimension = base.shape[1]
        self._items = 0
        self._engine, self._indexes = opened(directory, self._dimension)
        self._engine.process([_entry(0, "collection.configured", {"collection": "c", "settings": SETTINGS})])
        self._raw = hnswlib.Index(space="ip", dim=self._dimension)
        self._raw.init_index(
            most, M=DEFAULT_PARAMETERS.m, ef_construction=DEFAULT_PARAMETERS.ef_construction, random_seed=100
        )
        self._raw.set_ef(DEFAULT_PARAMETERS.ef_for(CANDIDATES))
        self._raw.set_num_threads(usable_processors())

    def grow_to(self, size: int, nothing: dict[str, float]) -> dict[str, Any]:
        started = time.perf_counter()
        slowest = 0.0
        while self._items < max(0, size - WINDOW):
            slowest = max(slowest, self._batch(min(BATCH, size - WINDOW - self._items))[0])
        self._settle()
        engine_s = engine_cpu_s = raw_s = raw_cpu_s = 0.0
        timed = size - self._items
        while self._items < size:
            wall, cpu, raw_wall, raw_cpu = self._batch(min(BATCH, size - self._items))
            slowest = max(slowest, wall)
            engine_s, engine_cpu_s = engine_s + wall, engine_cpu_s + cpu
            raw_s, raw_cpu_s = raw_s + raw_wall, raw_cpu_s + raw_cpu
        grown_s = time.perf_counter() - started
        stats = self._engine.stats()["collections"]["c"]
        recall = self._engine.sampled_recall().get("c", 1.0)
        self._engine.tidying.prune(0, self._engine.last_event)
        snapshot_s, close_s = self._restart()
        served = opened_elsewhere(self._directory)
        self._engine, self._indexes = opened(self._directory, self._dimension)
        links_bytes = 4 * (1 + 2 * DEFAULT_PARAMETERS.m) + 8 + 4 * (1 + DEFAULT_PARAMETERS.m) / DEFAULT_PARAMETERS.m
        vector_bytes = 4 * self._dimension
        resident = (served["resident"] - nothing["resident"]) / stats["points"]
        return {
            "items": size,
            "index": stats["index"],
            "points": stats["points"],
            "engine ms/item": round(1000 * engine_s / timed, 3),
            "engine cpu ms/item": round(1000 * engine_cpu_s / timed, 3),
            "hnswlib ms/item": round(1000 * raw_s / timed, 3),
            "hnswlib cpu ms/item": round(1000 * raw_cpu_s / timed, 3),
            "ratio to hnswlib": round(raw_s / engine_s, 3),
            "ratio to hnswlib, cpu": round(raw_cpu_s / engine_cpu_s, 3),
            f"recall@{RECALL_AT}": round(recall, 4),
            "longest batch s": round(slowest, 2),
            "snapshot s": round(snapshot_s, 2),
            "close s": round(close_s, 2),
            "start to first answer s": round(served["seconds"], 2),
            "resident bytes/item": round(resident),
            "resident, as a multiple of vector and links": round(resident / (vector_bytes + links_bytes), 2),
            "mapped bytes/item": round(served["mapped"] / stats["points"]),
            "database MiB": round(sum(path.stat().st_size for path in self._directory.glob("state.sqlite3*")) / 2**20),
            "grown in s": round(grown_s, 1),
        }

    def close(self) -> None:
        self._engine.close()

    def _batch(self, count: int) -> tuple[float, float, float, float]:
        """Seconds and processor seconds of the engine for so many new items, and of hnswlib."""
        vectors = np.stack([next(self._vectors) for _ in range(count)])
        commands = [
            _said({"id": f"i{self._items + n}", "collection": "c", "text": f"item {self._items + n}", "vector": given})
            for n, given in enumerate(base64.b64encode(vector.tobytes()).decode() for vector in vectors)
        ]
        started, cpu = time.perf_counter(), time.process_time()
        self._engine.process(
            [
                decode_entry(EntryId(1 + self._items + n, 0), "item.upsert", said, f"key {self._items + n}")
                for n, said in enumerate(commands)
            ]
        )
        between, cpu_between = time.perf_counter(), time.process_time()
        labels = np.arange(self._items, self._items + count)
        if self._items >= CANDIDATES:
            self._raw.knn_query(vectors, CANDIDATES)
        self._raw.add_items(vectors, labels)
        ended, cpu_ended = time.perf_counter(), time.process_time()
        self._items += count
        return between - started, cpu_between - cpu, ended - between, cpu_ended - cpu_between

    def _settle(self) -> None:
        """Wait for a graph that is being built, so that what is timed is one kind of index."""
        self._indexes.settle(timeout_s=3600)

    def _restart(self) -> tuple[float, float]:
        started = time.perf_counter()
        self._engine.snapshot(all_changes=True)
        written = time.perf_counter()
        self._engine.close()
        return written - started, time.perf_counter() - written


SETTINGS = {"rule": "cosine", "duplicate_cosine": 0.97, "candidates": CANDIDATES}


def base_vectors() -> Vectors:
    """Embeddings of real texts, kept in a file for the next time."""
    path = RESULTS / "growth-vectors.npy"
    if not path.exists():
        encoder = ModelCatalogue(KNOWN_MODELS).encoder(DEFAULT_MODEL)
        path.parent.mkdir(exist_ok=True)
        np.save(path, embed(encoder, load_texts("banking77", TEXTS)))
    found: Vectors = np.load(path, allow_pickle=False)
    return found


def vectors_like(base: Vectors) -> Iterator[Vectors]:
    """Vectors of unit length without end, each a mixture of two real ones with a little noise."""
    chance = np.random.default_rng(SEED)
    while True:
        pairs = chance.integers(0, len(base), (4096, 2))
        share = chance.uniform(0.5, 1.0, (4096, 1))
        noise = chance.normal(size=(4096, base.shape[1])) * (0.3 / np.sqrt(base.shape[1]))
        mixed = share * base[pairs[:, 0]] + (1 - share) * base[pairs[:, 1]] + noise
        yield from (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


_OPEN = """
import json, sys, time
from pathlib import Path
import numpy as np
from benchmarks.growth import opened
directory, dimension = Path(sys.argv[1]), int(sys.argv[2])
np.ones((64, dimension), np.float32) @ np.ones((dimension, 8192), np.float32)  # the libraries' own buffers
started = time.perf_counter()
engine, indexes = opened(directory, dimension)
engine.search("a question", "c")
seconds = time.perf_counter() - started
indexes.settle(timeout_s=60)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Rss"))
kib = {name: int(value.split()[0]) for name, value in status.items()}
print(json.dumps({"seconds": seconds, "resident": 1024 * kib["RssAnon"], "mapped": 1024 * kib["RssFile"]}))
engine.close()
"""


def opened_elsewhere(directory: Path, dimension: int = 384) -> dict[str, float]:
    """Seconds to a first answer in a new process, and its memory: of its own, and of the page cache."""
    ended = subprocess.run(
        [sys.executable, "-c", _OPEN, str(directory), str(dimension)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env=dict(os.environ),
    )
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Time per item against size, if matplotlib is there."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    sizes = [row["items"] for row in rows]
    for name in ("engine ms/item", "hnswlib ms/item", "engine cpu ms/item", "hnswlib cpu ms/item"):
        axes.plot(sizes, [row[name] for row in rows], marker="o", label=name)
    axes.set(xscale="log", xlabel="items in the collection", ylabel="ms per item", title="What an item costs")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, dpi=120)


def _said(command: dict[str, Any]) -> bytes:
    return json.dumps(command).encode()


def _entry(ms: int, type_: str, data: dict[str, Any]) -> Any:
    return decode_entry(EntryId(ms, 1), type_, _said(data))
