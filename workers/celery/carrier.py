"""Takes outcomes into Celery: completes waiting tasks the way Celery's own workers do, and calls the user's task."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, Task
from celery.app.task import Context
from celery.app.trace import build_tracer
from kombu.exceptions import EncodeError
from redis import Redis

from recommender.items import CommandRejected
from workers.broker.keys import PartitionKeys
from workers.celery.requests import load_request
from workers.celery.tasks import CommandRefused
from workers.owner.courier import DeliveryJob, Job, ReplyJob
from workers.settings import Settings

log = logging.getLogger(__name__)

# What no further attempt mends: a link that is no signature, a request that is no JSON.
_HOPELESS = (EncodeError, LookupError, TypeError, ValueError, AttributeError)


class _Outcome(Task):
    """What Celery's tracer runs in place of the task that waited: it returns what is already known."""

    name = "recommender.outcome"
    ignore_result = False
    store_eager_result = True
    resultrepr_maxsize = 80  # of what Celery logs; the whole outcome in words would cost as much as storing it

    def run(self, outcome: Any) -> Any:
        """Return the outcome."""
        return outcome


class Carrier:
    """Carries one job at a time; an exception means it has not arrived.

    Args:
        app: whose result backend, broker and tasks are used.
        settings: which task of the user's own is called.
        redis: the server that keeps the requests of waiting tasks.
    """

    def __init__(self, app: Celery, settings: Settings, redis: Redis) -> None:
        self._app = app
        self._settings = settings
        self._redis = redis
        self._keys = PartitionKeys.of(settings.partition)
        outcome = _Outcome()
        outcome.bind(app)
        # Traced as eager tasks are, an outcome that cannot be passed on raises; else the tracer would make it a failure
        # of the task, for good, because a broker was away for a moment.
        self._trace = build_tracer(outcome.name, outcome, app=app, eager=True, propagate=True)

    def __call__(self, job: Job) -> None:
        """Carry it."""
        if isinstance(job, ReplyJob):
            self._reply(job)
        else:
            self._deliver(job)

    def _reply(self, job: ReplyJob) -> None:
        # A reply address that nobody registered belongs to no task of ours: whoever can only append to the stream
        # cannot write results or start tasks.
        kept: Any = self._redis.hget(self._keys.replies, job.task_id)
        if kept is None:
            return
        try:
            self._complete(job, load_request(kept))
        except _HOPELESS as error:  # a fault of this one task, and others wait behind it
            log.error("carrier.gave_up", extra={"task_id": job.task_id, "error": repr(error)})
        self._redis.hdel(self._keys.replies, job.task_id)

    def _complete(self, job: ReplyJob, request: dict[str, Any]) -> None:
        outcome: Any = list(job.outcomes) if job.many else job.outcomes[0]
        if any(one.get("code") == "expired" for one in job.outcomes):
            self._app.backend.mark_as_revoked(
                job.task_id, "expired", Context(request), store_result=not request.get("ignore_result")
            )
        elif not job.many and outcome["type"] == CommandRejected.type:
            self._fail(request, CommandRefused(outcome["code"], outcome["message"], outcome["field"]))
        else:
            try:
                self._trace(job.task_id, (outcome,), {}, request)
            except _HOPELESS as error:
                self._fail(request, error)

    def _fail(self, request: dict[str, Any], error: Exception) -> None:
        self._app.backend.mark_as_failure(
            request["id"], error, request=Context(request), store_result=not request.get("ignore_result")
        )

    def _deliver(self, job: DeliveryJob) -> None:
        self._app.send_task(
            self._settings.deliver_task,
            args=[job.event],
            queue=self._settings.deliver_queue,
            task_id=f"{self._settings.partition}:{job.id}",
            ignore_result=True,
            serializer="json",
        )
