"""Items through a real worker, by either door, from the first append to the last outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Celery

from recommender.items import EntryId, ItemProcessed
from workers.celery.app import make_app
from workers.client import is_outcome
from workers.sandbox import ProcessFailed, RunningWorker

_SILENCE_S = 120.0

Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Passage:
    """What came of some items.

    Attributes:
        items: how many were sent.
        seconds: from the first append to the last outcome.
        events: by type.
        embed_ms: milliseconds that the model took for them.
        decide_ms: … and everything between vector and event.
    """

    items: int
    seconds: float
    events: Counter[str] = field(default_factory=Counter)
    embed_ms: float = 0.0
    decide_ms: float = 0.0

    @property
    def items_per_s(self) -> float:
        """Rate."""
        return self.items / self.seconds


def through_stream(worker: RunningWorker, items: Items) -> Passage:
    """Append all of them to the commands stream, in blocks, and wait for every outcome in the events stream.

    Raises:
        ProcessFailed: the worker ended, or fell silent.
    """
    return _measured(worker, items, lambda: worker.client.ingest_many(items))


def through_celery(worker: RunningWorker, app: Celery, items: Items) -> Passage:
    """Call ``ingest.delay`` for each, and wait for every outcome in the events stream and for the last result.

    Args:
        worker: that decides.
        app: of the caller, from ``celery_app``.
        items: to send.

    Raises:
        ProcessFailed: the worker ended, or fell silent.
    """
    ingest = app.tasks["recommender.ingest"]
    results: list[Any] = []
    return _measured(
        worker,
        items,
        lambda: results.extend(ingest.delay(dict(item)) for item in items),
        lambda: results[-1].get(timeout=_SILENCE_S),
    )


def items_of(texts: Sequence[str], collection: str = "default") -> list[dict[str, str]]:
    """Texts as items of a collection."""
    return [{"id": str(place), "collection": collection, "text": text} for place, text in enumerate(texts)]


def celery_app(worker: RunningWorker) -> Celery:
    """The app of somebody who calls the worker's tasks."""
    app, _ = make_app(worker.settings)
    app.finalize()
    return app


def _measured(
    worker: RunningWorker, items: Items, send: Callable[[], object], finish: Callable[[], object] = lambda: None
) -> Passage:
    after = worker.client.last_event()
    started = time.perf_counter()
    send()
    events, embed_ms, decide_ms = _outcomes(worker, after, len(items))
    finish()
    return Passage(len(items), time.perf_counter() - started, events, embed_ms, decide_ms)


def _outcomes(worker: RunningWorker, after: EntryId, count: int) -> tuple[Counter[str], float, float]:
    heard = time.monotonic()

    def silent() -> bool:
        worker.require()
        return time.monotonic() - heard > _SILENCE_S

    events: Counter[str] = Counter()
    outcomes, embed_ms, decide_ms = 0, 0.0, 0.0
    for event in worker.client.events(after, until=silent):
        heard = time.monotonic()
        events[event["type"]] += 1
        outcomes += is_outcome(event)
        if event["type"] == ItemProcessed.type:
            embed_ms += event["data"]["timings"]["embed_ms"]
            decide_ms += event["data"]["timings"]["decide_ms"]
        if outcomes >= count:
            return events, embed_ms, decide_ms
    raise ProcessFailed(f"only {outcomes} of {count} outcomes came")
