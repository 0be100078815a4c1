"""The thread that carries outcomes into Celery: results for callers that wait, calls of the user's own task.

It is a thread of its own so that a broker that is away delays neither decisions nor the events stream. Everything is
carried at least once; what has arrived is noted in the store a little later, and sent again after a crash in between.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from recommender.items import EntryId

log = logging.getLogger(__name__)

CAPACITY = 2048
"""Jobs that a courier is given at a time: the outcomes of a batch beside those of the last."""

_AT_ONCE = 16  # so many results may be carried twice after a crash
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class ReplyJob:
    """Tell a caller.

    Attributes:
        id: of the reply in the outbox.
        task_id: of the task that waits.
        outcomes: events that answer its commands.
        many: whether it waits for a list.
    """

    id: int
    task_id: str
    outcomes: tuple[dict[str, Any], ...]
    many: bool


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """Call the user's own task with an event."""

    id: EntryId
    event: dict[str, Any]


Job = ReplyJob | DeliveryJob

Carry = Callable[[Sequence[Job]], int]
"""Carries jobs in order. Returns how many of them have arrived, the first ones; an exception means that none has."""


class Courier(threading.Thread):
    """Carries jobs in order, a few at a time, each until it arrives or the courier is stopped.

    Args:
        carry: does them.
    """

    def __init__(self, carry: Carry) -> None:
        super().__init__(name="recommender-courier", daemon=True)
        self._carry = carry
        self._jobs: deque[Job] = deque()
        self._done: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    @property
    def room(self) -> int:
        """How many more jobs it takes."""
        return max(0, CAPACITY - len(self._jobs))

    def put(self, jobs: list[Job]) -> None:
        """Add jobs."""
        with self._changed:
            self._jobs.extend(jobs)
            self._changed.notify_all()

    def arrived(self) -> list[Job]:
        """Jobs that have arrived since the last call."""
        jobs = []
        while self._done:
            jobs.append(self._done.popleft())
        return jobs

    def run(self) -> None:
        """Carry until stopped."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                jobs = list(islice(self._jobs, _AT_ONCE))
            arrived = self._persist(jobs)
            if not arrived:
                return
            with self._changed:
                self._done.extend(self._jobs.popleft() for _ in range(arrived))
                self._changed.notify_all()

    def finish(self, timeout_s: float) -> None:
        """Carry what is there, for at most ``timeout_s`` seconds, and stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._jobs, timeout_s)
            self._stopping.set()
            self._changed.notify_all()
        self.join(timeout_s)

    def _persist(self, jobs: Sequence[Job]) -> int:
        """How many have arrived: at least one, unless the courier was stopped before."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                return self._carry(jobs)
            except Exception as error:
                log.warning("courier.retry", extra={"error": repr(error)[:200], "retry_s": retry_s})
            if self._stopping.wait(retry_s):
                return 0
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
