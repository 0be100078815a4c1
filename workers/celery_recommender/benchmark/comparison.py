"""The comparison behind ``recommender bench``: rounds in which each of them has its turn, on the same texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celery_recommender.benchmark.doors import celery_app, items_of, through_celery, through_stream
from celery_recommender.benchmark.encoders import Encoders
from celery_recommender.benchmark.figures import Figure
from celery_recommender.benchmark.latency import WARM_UP, Latencies, idle, warm_up
from celery_recommender.benchmark.rival import CeleryRival
from celery_recommender.benchmark.vectors import spread, through_index, through_worker
from celery_recommender.sandbox import RunningWorker, running_worker
from celery_recommender.settings import Settings
from recommender_engine.embedding.processors import usable_processors
from recommender_engine.errors import ConfigurationError

FEWEST_TEXTS = 20
STEPS_OF_A_ROUND = 6

_FIRST = 64  # texts by which the speed of the machine is told
_FEWEST_TASKS = 10


@dataclass(frozen=True)
class Plan:
    """How long it takes.

    Attributes:
        rounds: in which each has its turn.
        stock_s: about how long ``encode`` has in each; as many texts are taken for everybody.
        hand_written_s: about how long the hand-written worker has in each.
        latencies: items that are sent one by one.
        vectors: that are given, in each round.
    """

    rounds: int
    stock_s: float
    hand_written_s: float
    latencies: int
    vectors: int

    @property
    def steps(self) -> int:
        """How often ``compare`` tells what it does."""
        return 2 + self.rounds * STEPS_OF_A_ROUND + 1


FULL = Plan(rounds=3, stock_s=8, hand_written_s=7, latencies=200, vectors=5000)
QUICK = Plan(rounds=1, stock_s=2, hand_written_s=2, latencies=20, vectors=500)


@dataclass(frozen=True)
class Comparison:
    """What was measured; rates are items per second.

    Attributes:
        encoder: that the worker chose.
        threads: that every model had.
        items: that each door, and each encoder, was given in a round.
        hand_written_items: the same of the hand-written worker.
        vectors: the same of the index.
        stock: ``SentenceTransformer.encode(batch_size=32)`` in float32.
        alone: our encoder, alone.
        pipeline: from the commands stream to published verdicts.
        celery_door: the same through ``ingest.delay``.
        hand_written: one Celery task for each item.
        hnswlib: neighbours asked for and added, by hnswlib alone.
        given: items that bring their vector, through the worker, without verdicts.
        latencies: of items sent one by one to an idle worker.
    """

    encoder: str
    threads: int
    items: int
    hand_written_items: int
    vectors: int
    stock: Figure
    alone: Figure
    pipeline: Figure
    celery_door: Figure
    hand_written: Figure
    hnswlib: Figure
    given: Figure
    latencies: Latencies


def compare(texts: Sequence[str], settings: Settings, plan: Plan, tell: Callable[[str], None]) -> Comparison:
    """Measure.

    Args:
        texts: distinct ones, in the order in which they are taken.
        settings: of the workers; they name a server and a directory of this comparison's own.
        plan: how long.
        tell: called with what is about to be done, ``plan.steps`` times.

    Raises:
        ConfigurationError: there are too few texts.
        ProcessFailed: a process did not do its part.
    """
    if len(texts) < FEWEST_TEXTS:
        raise ConfigurationError(f"{len(texts)} different texts; at least {FEWEST_TEXTS} are needed")
    with ExitStack() as stack:
        return _Comparing(texts, settings, plan, tell, stack).result()


class _Comparing:
    """The processes, and what they have measured so far."""

    def __init__(
        self,
        texts: Sequence[str],
        settings: Settings,
        plan: Plan,
        tell: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._tell = tell
        self._rates: dict[str, list[float]] = {}
        tell("loading what we compare with, choosing the encoder")
        self._hand_written = stack.enter_context(CeleryRival(settings, settings.threads or usable_processors()))
        self._encoders = stack.enter_context(Encoders(settings))
        count = min(_FIRST, len(texts))
        first = [texts[place * len(texts) // count] for place in range(count)]
        self._encoders.stock_rate(first)
        enough = int(2 * plan.stock_s * self._encoders.stock_rate(first))
        self._texts = texts[: max(FEWEST_TEXTS, enough)]
        tell("the hand-written worker, for a start")
        self._hand_written.seconds(WARM_UP)
        self._tasks = self._enough_tasks(first)
        self._vectors_path = self._make_vectors(settings.state_dir / "vectors.npy")
        self._latencies = Latencies((), ())

    def result(self) -> Comparison:
        """Measure all rounds."""
        for number in range(self._plan.rounds):
            self._round(number)
        return Comparison(
            encoder=self._encoders.encoder,
            threads=self._encoders.threads,
            items=len(self._half(0)),
            hand_written_items=len(self._tasks),
            vectors=self._plan.vectors,
            stock=self._figure("stock"),
            alone=self._figure("alone"),
            pipeline=self._figure("pipeline"),
            celery_door=self._figure("celery door"),
            hand_written=self._figure("hand-written"),
            hnswlib=self._figure("hnswlib"),
            given=self._figure("given"),
            latencies=self._latencies,
        )

    def _round(self, number: int) -> None:
        texts = self._half(number)
        self._tell("SentenceTransformer.encode")
        self._note("stock", self._encoders.stock_rate(texts))
        self._tell("the encoder alone")
        self._note("alone", self._encoders.alone_rate(texts))
        self._tell("starting a worker")
        # A worker remembers the texts it has seen, so each round has one that has seen none.
        with running_worker(self._settings.replaced(partition=f"round-{number}")) as worker:
            warm_up(worker)
            doors = (self._stream, self._celery) if number % 2 == 0 else (self._celery, self._stream)
            for door in doors:
                door(worker, number)
            self._tell("vectors given")
            vectors = np.load(self._vectors_path, allow_pickle=False)
            self._note("given", through_worker(worker, vectors, "vectors").items_per_s)
            seconds = through_index(self._encoders.stock, self._vectors_path, self._settings.batch_items)
            self._note("hnswlib", len(vectors) / seconds)
            if number == self._plan.rounds - 1:
                self._tell("one item at a time")
                self._latencies = idle(worker, self._encoders.alone, self._texts, self._plan.latencies)
        self._tell("the hand-written worker")
        self._note("hand-written", len(self._tasks) / self._hand_written.seconds(self._tasks))

    def _stream(self, worker: RunningWorker, number: int) -> None:
        self._tell("the pipeline")
        self._note("pipeline", through_stream(worker, items_of(self._half(number), "stream")).items_per_s)

    def _celery(self, worker: RunningWorker, number: int) -> None:
        app = celery_app(worker)
        try:
            items = items_of(self._half(number + 1), "celery")
            self._note("celery door", through_celery(worker, app, items).items_per_s)
        finally:
            app.close()

    def _half(self, number: int) -> Sequence[str]:
        """Every other text: what one door has been given is known to the worker when the other has its turn."""
        return self._texts[number % 2 :: 2]

    def _enough_tasks(self, texts: Sequence[str]) -> Sequence[str]:
        """As many texts as the hand-written worker has time for."""
        probe = texts[:_FEWEST_TASKS]
        count = int(self._plan.hand_written_s * len(probe) / self._hand_written.seconds(probe))
        return [texts[place % len(texts)] for place in range(max(_FEWEST_TASKS, count))]

    def _make_vectors(self, path: Path) -> Path:
        self._encoders.alone.ask("encode", texts=self._texts, save_to=str(path))
        vectors = np.load(path, allow_pickle=False)
        np.save(path, spread(vectors, self._plan.vectors), allow_pickle=False)
        return path

    def _note(self, what: str, rate: float) -> None:
        self._rates.setdefault(what, []).append(rate)

    def _figure(self, what: str) -> Figure:
        return Figure(what, "items/s", tuple(self._rates[what]))
