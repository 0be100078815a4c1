"""Takes outcomes into Celery: completes waiting tasks the way Celery's own workers do, and calls the user's task."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from celery.app.task import Context
from celery.app.trace import build_tracer
from redis import Redis

from workers.broker.keys import PartitionKeys
from workers.celery.requests import load_request
from workers.celery.tasks import CommandRefused
from workers.owner.courier import DeliveryJob, Job, ReplyJob
from workers.settings import Settings

_REJECTED = "recommender.command.rejected.v1"


class _Outcome(Task):
    """What Celery's tracer runs in place of the task that waited: it returns, or raises, what is already known."""

    name = "recommender.outcome"
    ignore_result = False
    throws = (CommandRefused,)  # a producer's mistake is no error of ours

    def run(self, outcome: Any) -> Any:
        """Return the outcome."""
        if isinstance(outcome, dict) and outcome.get("type") == _REJECTED:
            raise CommandRefused(outcome["code"], outcome["message"], outcome["field"])
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
        self._trace = build_tracer(outcome.name, outcome, app=app)

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
        request = load_request(kept)
        if any(outcome.get("code") == "expired" for outcome in job.outcomes):
            self._app.backend.mark_as_revoked(
                job.task_id, "expired", Context(request), store_result=not request.get("ignore_result")
            )
        else:
            value = list(job.outcomes) if job.many else job.outcomes[0]
            traced = self._trace(job.task_id, (value,), {}, request)
            del traced
        self._redis.hdel(self._keys.replies, job.task_id)

    def _deliver(self, job: DeliveryJob) -> None:
        self._app.send_task(
            self._settings.deliver_task,
            args=[job.event],
            queue=self._settings.deliver_queue,
            task_id=f"{self._settings.partition}:{job.id}",
            ignore_result=True,
            serializer="json",
        )
