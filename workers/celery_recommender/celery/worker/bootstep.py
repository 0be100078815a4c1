"""The owner as a step of a Celery worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click
from celery import bootsteps
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from kombu.entity import Queue

from celery_recommender.broker.redis.fitness import Unfit
from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.errors import ConfigurationError


def make_owner_step(
    require: Callable[[str], object], start_owner: Callable[[str], object], stop_owner: Callable[[], None]
) -> type[bootsteps.StartStopStep]:
    """A step class for one app; active only in a worker started with ``--recommender PARTITION``.

    Args:
        require: called in such a worker before anything else, with the name of the partition; raises if there is no
            server for the streams, or one that cannot be used.
        start_owner: called with the name of the partition.
        stop_owner: called when the worker stops; returns when current work is done.
    """

    class OwnerStep(bootsteps.StartStopStep):
        """Starts the owner after the pool and before the consumer; stops it in the reverse order."""

        requires = ("celery.worker.components:Pool",)
        name = "recommender.Owner"

        def __init__(self, parent: Any, recommender: str | None = None, **options: Any) -> None:
            super().__init__(parent, **options)
            self.partition = recommender
            self.enabled = bool(recommender)
            if recommender:
                _check_pool(parent)
                _check_server(require, recommender)
                _consume_own_queue(parent, recommender)
                _accept_json(parent.app)

        def start(self, parent: Any) -> None:
            """Own the partition."""
            start_owner(str(self.partition))

        def stop(self, parent: Any) -> None:
            """Finish current work."""
            stop_owner()

        terminate = stop

    return OwnerStep


def _check_pool(worker: Any) -> None:
    """The model, its threads and the state live in the worker's own process, so pools that fork or patch are out."""
    if not issubclass(worker.pool_cls, SoloPool | ThreadPool):
        name = worker.pool_cls.__module__.rpartition(".")[2]
        raise click.UsageError(
            f"--recommender does not work with the {name} pool: use --pool threads (or --pool solo), instead of what "
            "--pool or worker_pool says. Your other workers can keep theirs."
        )
    if (library := _patched_by()) is not None:
        raise click.UsageError(
            f"--recommender does not work where {library} stands in for threads: while a batch is decided, nothing "
            "would keep the lease. Do not patch this worker (monkey.patch_all, monkey_patch); your others can be."
        )


def _patched_by() -> str | None:
    """Which library has made greenlets of the threads of this process, whatever the pool; none is imported for it."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    return "eventlet" if eventlet is not None and eventlet.is_monkey_patched("thread") else None


def _accept_json(app: Any) -> None:
    """Our tasks are sent in JSON whatever the app's are; in this worker it is accepted beside what the app accepts."""
    accepted = list(app.conf.accept_content or ())
    if not {"json", "application/json"} & set(accepted):
        app.conf.accept_content = [*accepted, "json"]


def _check_server(require: Callable[[str], object], partition: str) -> None:
    try:
        require(partition)
    except Unfit as error:
        refusal = click.ClickException(f"--recommender: {error}")
        refusal.exit_code = os.EX_CONFIG  # type: ignore[misc]  # the base class has it on the class
        raise refusal from error
    except ConfigurationError as error:
        raise click.UsageError(f"--recommender: {error}") from error


def _consume_own_queue(worker: Any, partition: str) -> None:
    """Take tasks from the partition's own queue, and from others only if they were named with -Q."""
    name = PartitionKeys.of(partition).queue
    queue = Queue(name, routing_key=name)  # type: ignore[no-untyped-call]
    queues = worker.app.amqp.queues
    if queues._consume_from is None:  # noqa: SLF001 (nothing public tells that no -Q was given)
        queues.add(queue)
        queues.select([name])
    else:
        queues.select_add(queue)
