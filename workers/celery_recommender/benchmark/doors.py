"""Items through a real worker, by either door, from the first append to the last outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as ResultLate
from celery.result import AsyncResult

from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import is_outcome
from celery_recommender.sandbox import ProcessFailed, RunningWorker
from recommender_engine.items import CommandRejected, EntryId, ItemProcessed

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
    after = worker.client.last_event()
    started = time.perf_counter()
    worker.client.ingest_many(items)
    told = _Told()
    for event in _outcomes(worker, after, len(items)):
        told.note(event["type"], event["data"])
    return told.passage(len(items), time.perf_counter() - started)


def through_celery(worker: RunningWorker, app: Celery, items: Items) -> Passage:
    """Call ``ingest.delay`` for each, and wait for every result as any caller of a Celery task does.

    Args:
        worker: that decides.
        app: of the caller, from ``celery_app``.
        items: to send.

    Raises:
        ProcessFailed: the worker ended, or no result came for a long time.
    """
    ingest = app.tasks["recommender.ingest"]
    started = time.perf_counter()
    results = [ingest.delay(dict(item)) for item in items]
    told = _Told()
    for result in results:
        try:
            outcome = _result(worker, result)
        except CommandRefused:
            told.note(CommandRejected.type, {})
        else:
            told.note(outcome["type"], outcome)
    return told.passage(len(items), time.perf_counter() - started)


def items_of(texts: Sequence[str], collection: str = "default") -> list[dict[str, str]]:
    """Texts as items of a collection."""
    return [{"id": str(place), "collection": collection, "text": text} for place, text in enumerate(texts)]


def celery_app(worker: RunningWorker) -> Celery:
    """The app of somebody who calls the worker's tasks."""
    app, _ = make_app(worker.settings)
    app.finalize()
    return app


def _result(worker: RunningWorker, result: AsyncResult) -> dict[str, Any]:
    waited_until = time.monotonic() + _SILENCE_S
    while True:
        try:
            outcome: dict[str, Any] = result.get(timeout=1.0)
        except ResultLate as error:
            worker.require()
            if time.monotonic() > waited_until:
                raise ProcessFailed("no result came") from error
        else:
            return outcome


class _Told:
    """What outcomes say."""

    def __init__(self) -> None:
        self._types: Counter[str] = Counter()
        self._embed_ms = self._decide_ms = 0.0

    def note(self, type_: str, data: Mapping[str, Any]) -> None:
        """One more event."""
        self._types[type_] += 1
        if type_ == ItemProcessed.type:
            self._embed_ms += data["timings"]["embed_ms"]
            self._decide_ms += data["timings"]["decide_ms"]

    def passage(self, items: int, seconds: float) -> Passage:
        """All of it."""
        return Passage(items, seconds, self._types, self._embed_ms, self._decide_ms)


def _outcomes(worker: RunningWorker, after: EntryId, count: int) -> Iterator[dict[str, Any]]:
    """Events, up to so many outcomes."""
    heard = time.monotonic()

    def silent() -> bool:
        worker.require()
        return time.monotonic() - heard > _SILENCE_S

    outcomes = 0
    for event in worker.client.events(after, until=silent):
        heard = time.monotonic()
        yield event
        outcomes += is_outcome(event)
        if outcomes >= count:
            return
    raise ProcessFailed(f"only {outcomes} of {count} outcomes came")
