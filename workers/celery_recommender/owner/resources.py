"""What an owner has before it has a partition."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.patience import Connections
from celery_recommender.fleet.fleet import Fleet
from celery_recommender.owner.continuity.backups import BackupRequests
from celery_recommender.owner.delivery.threads import Carry
from celery_recommender.owner.loop.inbox import Inbox
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Status
from celery_recommender.settings import Settings, naming
from celery_recommender.threads import WorkerThread, retry
from celery_recommender.webhooks.endpoints import Endpoint
from recommender_engine.embedding import Encoders
from recommender_engine.errors import StateFull
from recommender_engine.event_log import event_log

log = event_log(__name__)

T = TypeVar("T")

RETRY_S = 1.0
LATER: tuple[type[Exception], ...] = (*AWAY, StateFull)
"""Errors after which waiting helps: the server is away, the disk is full."""


@dataclass(frozen=True)
class Resources:
    """What an owner has before it has a partition, and other threads use.

    Attributes:
        settings: of the process.
        encoders: the embedding models.
        connect: makes a connection to the server that holds the streams; each thread has one of its own.
        carry: takes outcomes into Celery.
        fleet: the owner's side of the embed workers, if there are to be any.
        inbox: commands and questions that wait.
        metrics: of the owner.
        status: of the owner.
        endpoints: that events are sent to.
        backup_requests: for backups out of turn.
        threads: those that have been started, while they run.
        stopping: set when the owner is to end.
        elected: set when the partition is its own.
        ready: set when it decides.
    """

    settings: Settings
    encoders: Encoders
    connect: Connections
    carry: Carry
    fleet: Fleet | None
    inbox: Inbox
    metrics: Metrics
    status: Status
    endpoints: tuple[Endpoint, ...] = ()
    backup_requests: BackupRequests = field(default_factory=BackupRequests)
    threads: list[WorkerThread] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    elected: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)

    def start(self, thread: WorkerThread, stack: ExitStack, timeout_s: float | None = None) -> None:
        """Start a thread, and stop it with ``stack``; its end is waited for, for at most ``timeout_s`` if given."""
        self.threads.append(thread)
        thread.start()
        stack.callback(thread.stop, timeout_s)

    def check_threads(self) -> None:
        """Raise the error that has ended a thread, if one has.

        Raises:
            LeaseLost: another process owns the partition.
        """
        for thread in self.threads:
            thread.check()

    def patiently(self, step: Callable[[], T]) -> T | None:
        """Do a step as soon as the server answers and the disk has room.

        Returns:
            What the step returned; ``None`` when the owner is to end before.
        """

        def failed(error: Exception, _: int) -> None:
            self.check_threads()
            event = "owner.disk_full" if isinstance(error, StateFull) else "owner.server_away"
            log.warning(event, extra={"error": naming(error)})

        return retry(step, self.stopping, RETRY_S, LATER, failed)
