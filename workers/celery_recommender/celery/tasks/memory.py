"""Tasks answered by an engine in memory, in the process that calls them: where ``task_always_eager`` is set, in tests.

The commands go through the same decoding, decisions and outcomes as those of a stream; the texts are embedded by the
deterministic encoder. Nothing is connected, started, written or loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from celery import Celery

from celery_recommender.broker.commands.encoding import CommandFields
from celery_recommender.broker.commands.log import decode
from celery_recommender.owner.delivery.replies import resolve_reply
from celery_recommender.owner.delivery.threads import ReplyJob
from celery_recommender.settings import Settings
from recommender_engine import Recommender, open_recommender
from recommender_engine.items import DEFAULT_MODEL, START
from recommender_engine.testing import DeterministicEncoders

T = TypeVar("T")


class InMemory:
    """An engine of its own, for one process or one test; called from any thread.

    Args:
        settings: which partition it poses as, and which models may be named.
    """

    def __init__(self, settings: Settings) -> None:
        names = (DEFAULT_MODEL, *(spec.partition("=")[0] for spec in settings.models))
        self._engine = open_recommender(None, DeterministicEncoders(*names), partition=settings.home)
        self._lock = threading.RLock()
        self._last = START

    def decide(self, commands: Sequence[CommandFields]) -> ReplyJob:
        """Decide the commands of one task.

        Args:
            commands: as they would be appended to the stream; the last one has the address of a caller.

        Returns:
            The error that the caller would get.
        """
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            entries = []
            for fields in commands:
                self._last = self._last.next_at(now_ms)
                raw = {name.encode(): str(value).encode() for name, value in fields.items()}
                entries.append(decode(self._last, raw, now_ms))
            self._engine.process(entries)
            *_, reply = self._engine.outbox.replies(0, len(commands))
            job = resolve_reply(reply, self._engine)
            self._engine.acknowledge(replied=[reply.id])
        return job

    def ask(self, question: Callable[[Recommender], T]) -> T:
        """Ask the engine something."""
        with self._lock:
            return question(self._engine)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._engine.close()


class Kit(InMemory):
    """One that answers the tasks of several apps while a test kit is at work; they are eager meanwhile."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._adopted: list[tuple[Celery, bool]] = []

    def adopt(self, app: Celery) -> None:
        """Until ``close()``, tasks of the app are executed by their callers."""
        self._adopted.append((app, app.conf.task_always_eager))
        app.conf.task_always_eager = True

    def close(self) -> None:
        """Leave the apps as they were, and forget everything."""
        while self._adopted:
            app, eager = self._adopted.pop()
            app.conf.task_always_eager = eager
        super().close()
