"""Items through ``ingest.delay``, each with its Celery result."""

from __future__ import annotations

import time
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as ResultLate
from celery.result import AsyncResult

from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.app import make_app
from celery_recommender.measuring import TIMEOUT_S, Items, Throughput
from celery_recommender.sandbox import ProcessFailed, RunningWorker
from recommender_engine.items import CommandRejected


def through_celery(worker: RunningWorker, app: Celery, items: Items) -> Throughput:
    """Call ``ingest.delay`` for each, and wait for every result as any caller of a Celery task does.

    Args:
        worker: that decides.
        app: of the caller, from ``celery_app``.
        items: to send.

    Raises:
        ProcessFailed: the worker ended, or a result did not come for two minutes.
    """
    ingest = app.tasks["recommender.ingest"]
    found = Throughput(len(items))
    started = time.perf_counter()
    results = [ingest.delay(dict(item)) for item in items]
    for result in results:
        try:
            outcome = _result(worker, result)
        except CommandRefused:
            found.add(CommandRejected.type, {})
        else:
            found.add(outcome["type"], outcome)
    found.seconds = time.perf_counter() - started
    return found


def celery_app(worker: RunningWorker) -> Celery:
    """The app of a caller of the worker's tasks."""
    app, _ = make_app(worker.settings)
    app.finalize()
    return app


def _result(worker: RunningWorker, result: AsyncResult) -> dict[str, Any]:
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            outcome: dict[str, Any] = result.get(timeout=1.0)
        except ResultLate as error:
            worker.require()
            if time.monotonic() > deadline_s:
                raise ProcessFailed("no result came") from error
        else:
            return outcome
