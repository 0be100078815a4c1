"""Takes outcomes into Celery: completes waiting tasks the way Celery's own workers do, and calls the user's task."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from celery import Celery, Task
from celery.app.task import Context
from celery.app.trace import build_tracer
from kombu.exceptions import EncodeError
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.messages.requests import load_request
from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.owner.delivery.threads import DeliveryJob, Job, ReplyJob
from celery_recommender.settings import Settings
from recommender_engine.event_log import event_log
from recommender_engine.items import CommandRejected

log = event_log(__name__)

# What no further attempt mends: a link that is no signature, a request that is no JSON.
_HOPELESS = (EncodeError, LookupError, TypeError, ValueError, AttributeError)


class _Outcome(Task):
    """Run by Celery's tracer in place of the task that waited: it returns the known result."""

    name = "recommender.outcome"
    ignore_result = False
    store_eager_result = True
    resultrepr_maxsize = 80  # of what Celery logs; the whole outcome in words would cost as much as storing it

    def run(self, outcome: Any) -> Any:
        """Return the outcome."""
        return outcome


class ResultDelivery:
    """Carries jobs in order; the number per call does not matter. Called by several threads.

    Args:
        app: whose result backend, broker and tasks are used.
        settings: which task of the user's own is called.
        redis: the server that keeps the requests of waiting tasks.
    """

    def __init__(self, app: Celery, settings: Settings, redis: Redis) -> None:
        self._app = app
        self._settings = settings
        self._redis = redis
        self._keys = PartitionKeys.of(settings.partition, settings.key_prefix)
        self._delivered: list[str] = []
        self._lock = threading.Lock()
        outcome = _Outcome()
        outcome.bind(app)
        # Traced as eager tasks are, an outcome that cannot be passed on raises; else the tracer would make it a failure
        # of the task, for good, because a broker was away for a moment.
        self._trace = build_tracer(outcome.name, outcome, app=app, eager=True, propagate=True)

    def __call__(self, jobs: Sequence[Job]) -> int:
        """Carry them; how many have arrived, the first ones. An exception means that none has."""
        self._forget()  # those that the server missed the last time: they have been delivered
        kept = self._requests(jobs)
        carried: list[Job] = []
        try:
            for job in jobs:
                self._carry(job, kept)
                carried.append(job)
        except Exception:  # the job that did not arrive is the first one the next time
            if not carried:
                raise
        with self._lock:
            self._delivered += [job.task_id for job in carried if isinstance(job, ReplyJob)]
        with suppress(RedisError):
            self._forget()
        return len(carried)

    def _forget(self) -> None:
        """Forget the requests that have been answered."""
        with self._lock:
            delivered, self._delivered = self._delivered, []
        if not delivered:
            return
        try:
            self._redis.hdel(self._keys.replies, *delivered)
        except BaseException:
            with self._lock:
                self._delivered += delivered
            raise

    def _requests(self, jobs: Sequence[Job]) -> dict[str, bytes | None]:
        """Of each task that waits its request, if it is kept.

        An address that is not registered belongs to no task of ours: a user who can only append to the stream cannot
        write results or start tasks.
        """
        waiting = [job.task_id for job in jobs if isinstance(job, ReplyJob)]
        if not waiting:
            return {}
        kept: Any = self._redis.hmget(self._keys.replies, waiting)
        return dict(zip(waiting, kept, strict=True))

    def _carry(self, job: Job, kept: dict[str, bytes | None]) -> None:
        if isinstance(job, DeliveryJob):
            self._deliver(job)
        elif isinstance(job, ReplyJob) and (request := kept.get(job.task_id)) is not None:
            self._reply(job, request)
            kept[job.task_id] = None  # a result is delivered once

    def _reply(self, job: ReplyJob, request: bytes) -> None:
        try:
            self._complete(job, load_request(request))
        except _HOPELESS as error:  # a fault of this one task, and others wait behind it
            log.error("delivery.gave_up", extra={"task_id": job.task_id, "error": repr(error)[:200]})

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
        call_task(self._app, self._settings, job.event)


def call_task(app: Celery, settings: Settings, event: Mapping[str, Any]) -> None:
    """Call the user's task with an event; the id of the call is made of the event's, so that a repetition shows."""
    app.send_task(
        settings.deliver_task,
        args=[event],
        queue=settings.deliver_queue or None,
        task_id=f"{settings.partition}:{event['id']}",
        ignore_result=True,
        serializer="json",
        headers={"traceparent": event["traceparent"]} if "traceparent" in event else None,
    )


def queue_of_deliveries(app: Celery, settings: Settings) -> str:
    """The queue that calls of the user's task go to; empty if there is none, or no such task."""
    if not settings.deliver_task or settings.deliver_queue:
        return settings.deliver_queue
    try:
        return str(app.amqp.router.route({}, settings.deliver_task)["queue"].name)
    except (LookupError, TypeError, AttributeError):  # a router of the user's own, or no such queue
        return ""
