"""Measures a worker: items through the streams, one item at a time, and figures of several rounds."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery_recommender.sandbox import ProcessFailed, RunningWorker
from recommender_engine.items import ItemProcessed

TIMEOUT_S = 120.0
"""How long the next outcome may take."""

WARM_UP = tuple(
    f"Text number {number}, sent before the measurement so that everything is loaded." for number in range(16)
)
"""Texts that no measurement uses."""

Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One quantity, measured in every round.

    Attributes:
        what: its name.
        unit: of the values.
        values: one for each round; at least one.
    """

    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)

    def over(self, other: Figure) -> float:
        """The ratio to another figure: the median of the rounds' ratios, since only a round sees one machine.

        Raises:
            ValueError: the two were not measured in the same rounds.
        """
        return statistics.median(one / another for one, another in zip(self.values, other.values, strict=True))


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that ``percent`` in a hundred do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


@dataclass(slots=True)
class Throughput:
    """Items that a worker decided.

    Attributes:
        items: how many were sent.
        seconds: from the first append to the last outcome.
        events: by type.
        embed_ms: milliseconds that the model took for them.
        decide_ms: milliseconds between vector and event.
    """

    items: int
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    embed_ms: float = 0.0
    decide_ms: float = 0.0

    @property
    def items_per_s(self) -> float:
        """Rate."""
        return self.items / self.seconds

    def add(self, type_: str, data: Mapping[str, Any]) -> None:
        """Count one event."""
        self.events[type_] += 1
        if type_ == ItemProcessed.type:
            self.embed_ms += data["timings"]["embed_ms"]
            self.decide_ms += data["timings"]["decide_ms"]


def through_stream(worker: RunningWorker, items: Items) -> Throughput:
    """Append items to the commands stream, in blocks, and read events until each has its outcome.

    Raises:
        ProcessFailed: the worker ended, or no outcome came for two minutes.
    """
    after = worker.client.last_event()
    found = Throughput(len(items))
    started = time.perf_counter()
    worker.client.ingest_many(items)
    last_s = time.monotonic()

    def silent() -> bool:
        worker.require()
        return time.monotonic() - last_s > TIMEOUT_S

    try:
        for event in worker.client.run_events(after, len(items), until=silent):
            last_s = time.monotonic()
            found.add(event["type"], event["data"])
    except TimeoutError as error:
        raise ProcessFailed(str(error)) from error
    found.seconds = time.perf_counter() - started
    return found


def items_of(texts: Sequence[str], collection: str = "default") -> list[dict[str, str]]:
    """Texts as items of a collection."""
    return [{"id": str(number), "collection": collection, "text": text} for number, text in enumerate(texts)]


def warm_up(worker: RunningWorker) -> None:
    """Have a worker load and compute everything once."""
    items = [{"id": text, "collection": "warm-up", "text": text} for text in WARM_UP]
    worker.client.outcome(worker.client.ingest_many(items)[-1], timeout_s=TIMEOUT_S)


def one_item_ms(worker: RunningWorker, text: str, number: int) -> float:
    """Milliseconds from the append of one item to its event."""
    started = time.perf_counter()
    position = worker.client.ingest({"id": str(number), "collection": "one-by-one", "text": text})
    worker.client.outcome(position, timeout_s=TIMEOUT_S)
    return (time.perf_counter() - started) * 1000
