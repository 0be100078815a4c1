"""The threads that deliver outcomes: results for callers that wait, calls of the user's own task, webhooks.

Each lane has a thread of its own, so that a broker that is away, or a queue that does not exist, delays neither
decisions nor the events stream nor another lane. Everything is delivered at least once; what has arrived is noted in
the store a little later, and sent again after a crash in between.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from celery_recommender.threads import WorkerThread
from recommender_engine.event_log import event_log
from recommender_engine.items import EntryId

log = event_log(__name__)

CAPACITY = 2048
"""Jobs that a delivery thread is given at a time: the outcomes of a batch beside those of the last."""

_AT_ONCE = 16  # at most this many results may be delivered twice after a crash
_FIRST_RETRY_S = 0.1
_PASSING_S = 1.0  # at most, while there are others to be tried
_REASON = 200


@dataclass(frozen=True, slots=True)
class ReplyJob:
    """The result of a task that waits.

    Attributes:
        id: of the reply in the outbox.
        task_id: of the task.
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


@dataclass(frozen=True, slots=True)
class WebhookJob:
    """Send an event, as JSON, to an endpoint."""

    id: EntryId
    event: str


Job = ReplyJob | DeliveryJob | WebhookJob

Carry = Callable[[Sequence[Job]], int]
"""Delivers jobs in order. Returns how many of them have arrived, the first ones; an exception means that none has."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that did not arrive.

    Attributes:
        job: the job.
        error: why not.
        attempts: at this job, in a row or with others in between.
        failing_s: seconds since anything arrived in its lane.
        behind: the jobs that wait behind it, in order.
    """

    job: Job
    error: Exception
    attempts: int
    failing_s: float
    behind: Sequence[Job] = ()

    @property
    def reason(self) -> str:
        """The error in one line."""
        return shown(self.error)


class Lane(Protocol):
    """One destination, and what is done with a job that does not arrive there.

    Attributes:
        name: of the destination, as the status has it.
        longest_wait_s: between two attempts, while the destination asks for no longer one.
    """

    name: str
    longest_wait_s: float

    def failed(self, failure: Failure) -> int:
        """How many jobs are given up: none, the one that failed, or also some of those behind it."""

    def let_pass(self, failure: Failure) -> bool:
        """Whether the jobs behind it are tried before it is tried again."""


class DeliveryThread(WorkerThread):
    """Delivers the jobs of one lane, a few at a time, each until it arrives, the lane gives it up, or it is stopped.

    Args:
        carry: delivers them.
        lane: decides what is done with jobs that do not arrive.
        capacity: how many jobs it takes.
    """

    def __init__(self, carry: Carry, lane: Lane, capacity: int = CAPACITY) -> None:
        super().__init__(f"delivery-{lane.name}")
        self.lane = lane
        self._capacity = capacity
        self._carry = carry
        self._jobs: deque[Job] = deque()
        self._done: deque[Job] = deque()
        self._attempts: Counter[int | EntryId] = Counter()
        self._failing_since_s: float | None = None
        self._reason = ""
        self._changed = threading.Condition()

    @property
    def room(self) -> int:
        """How many more jobs it takes."""
        return max(0, self._capacity - len(self._jobs))

    def put(self, jobs: Sequence[Job]) -> None:
        """Add jobs."""
        with self._changed:
            self._jobs.extend(jobs)
            self._changed.notify_all()

    def arrived(self) -> list[Job]:
        """Jobs that have arrived, or were given up, since the last call."""
        jobs = []
        while self._done:
            jobs.append(self._done.popleft())
        return jobs

    def facts(self) -> dict[str, Any]:
        """How many jobs wait; for how many seconds none has arrived although they were tried, and why."""
        since_s = self._failing_since_s
        failing = {} if since_s is None else {"failing_s": round(time.monotonic() - since_s, 1), "reason": self._reason}
        return {"waiting": len(self._jobs), **failing}

    def work(self) -> None:
        """Deliver until stopped."""
        retry_s = 0.0
        while not self._stopping.wait(retry_s):
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopping.is_set())
                jobs = list(islice(self._jobs, _AT_ONCE))
            if self._stopping.is_set():
                return
            try:
                arrived = self._carry(jobs)
            except Exception as error:
                retry_s = self._failed(jobs[0], error, min(2 * retry_s or _FIRST_RETRY_S, self.lane.longest_wait_s))
                continue
            retry_s = 0.0
            self._failing_since_s, self._reason = None, ""
            for job in jobs[:arrived]:
                self._attempts.pop(job.id, None)
            self._finished(arrived)

    def finish(self, timeout_s: float) -> None:
        """Deliver what is there, for at most ``timeout_s`` seconds, and stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._jobs or not self.is_alive(), timeout_s)
        self.stop(timeout_s)

    def stop(self, timeout_s: float | None = None) -> None:
        """Deliver no more, whatever is left."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        super().stop(timeout_s)

    def _finished(self, count: int) -> None:
        with self._changed:
            self._done.extend(self._jobs.popleft() for _ in range(count))
            self._changed.notify_all()

    def _failed(self, job: Job, error: Exception, retry_s: float) -> float:
        """The first job did not arrive: it is given up, or goes behind the others, or stays.

        Returns:
            Seconds until the next attempt.
        """
        now_s = time.monotonic()
        self._failing_since_s = self._failing_since_s or now_s
        self._attempts[job.id] += 1
        behind = tuple(islice(self._jobs, 1, None))
        failure = Failure(job, error, self._attempts[job.id], now_s - self._failing_since_s, behind)
        retry_s = max(retry_s, getattr(error, "retry_after_s", 0.0))
        self._reason = failure.reason
        log.warning(
            "delivery.retry",
            extra={"lane": self.lane.name, "error": failure.reason, "retry_s": retry_s, "waiting": len(self._jobs)},
        )
        try:
            given_up = self.lane.failed(failure)
        except Exception as caught:  # the log, where it was to be kept instead, is away as well
            log.warning("delivery.not_kept", extra={"lane": self.lane.name, "error": shown(caught)})
            return retry_s
        if given_up:
            self._attempts.pop(job.id, None)
            self._finished(given_up)
            return _FIRST_RETRY_S
        if self.lane.let_pass(failure):
            with self._changed:
                self._jobs.rotate(-1)
            return min(retry_s, _PASSING_S)
        return retry_s


def shown(error: Exception) -> str:
    """An error in one line, as long as a line of a log may be."""
    text = f"{type(error).__name__}: {error}"
    return "".join(character if character.isprintable() else "·" for character in text)[:_REASON]
