"""The thread of a web process that works on jobs, one at a time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from redis.exceptions import RedisError

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.threads import WorkerThread
from celery_recommender.web.jobs.store import MOST_ATTEMPTS, Job, JobStore, NoRoom, State
from celery_recommender.web.service.service import OwnerAway
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.event_log import event_log

log = event_log(__name__)

_LOOKS_EVERY_S = 1.0
_TOLD_EVERY_S = 0.5


class Stopped(Exception):
    """The job was removed, another process has it, or this one ends."""


class Failed(Exception):
    """The job cannot be done; the message is a code of a string of the page, or a sentence."""


class Work:
    """What a job's work knows of its job, and how it says how far it is.

    Args:
        job: as it was taken.
        store: of the jobs.
        process: that holds it.
        stopping: set when the process ends.
    """

    def __init__(self, job: Job, store: JobStore, process: str, stopping: threading.Event) -> None:
        self.job = job
        self.store = store
        self._process = process
        self._stopping = stopping
        self._told_s = 0.0

    def tell(self, step: str, done: int, total: int, progress: dict[str, Any] | None = None) -> None:
        """Say how far it is; written at most twice a second, or at once with ``progress``.

        Args:
            step: what is being done.
            done, total: how much of it.
            progress: what another process would go on with.

        Raises:
            Stopped: the work is to end.
        """
        if self._stopping.is_set():
            raise Stopped
        now_s = time.monotonic()
        if progress is None and step == self.job.step and now_s - self._told_s < _TOLD_EVERY_S and done < total:
            return
        self._told_s = now_s
        self.job = replace(self.job, step=step, done=done, total=total, progress=progress or self.job.progress)
        if not self.store.still(self.job.id, self._process):
            raise Stopped
        self.store.put(self.job)

    def wait(self, seconds: float) -> None:
        """Wait, or stop.

        Raises:
            Stopped: the process ends.
        """
        if self._stopping.wait(seconds):
            raise Stopped


Doing = Callable[[Work], dict[str, Any]]
"""The work of one kind of job; returns its result."""


class Runner(WorkerThread):
    """Looks for jobs that no living process holds, and does them.

    Args:
        store: of the jobs.
        kinds: the work of each kind.
    """

    def __init__(self, store: JobStore, kinds: Mapping[str, Doing]) -> None:
        super().__init__("web-jobs")
        self._store = store
        self._kinds = kinds
        self._process = secrets.token_hex(8)
        self._new = threading.Event()

    def wake(self) -> None:
        """There is a new job."""
        self._new.set()

    def work(self) -> None:
        """Do jobs until told to stop."""
        while not self._stopping.is_set():
            with suppress(RedisError):  # a page says that it does not answer
                for job in self._store.all():
                    if job.kind in self._kinds and job.state in {"waiting", "running"} and not self._stopping.is_set():
                        self._attempt(job)
            self._new.wait(_LOOKS_EVERY_S)
            self._new.clear()

    def _attempt(self, job: Job) -> None:
        taken = self._store.take(job, self._process)
        if taken is None:
            return
        work = Work(taken, self._store, self._process, self._stopping)
        try:
            if taken.attempts > MOST_ATTEMPTS:
                raise Failed("interrupted")
            result = self._kinds[taken.kind](work)
        except Stopped:
            self._undo_attempt(work)
        except (OwnerAway, Overloaded, RedisError) as error:
            log.warning("web.job_waits", extra={"kind": taken.kind, "error": type(error).__name__})
            self._undo_attempt(work)
            self._stopping.wait(_LOOKS_EVERY_S)
        except (Failed, ConfigurationError, InvalidCommand) as error:
            self._end(work, "failed", error=str(error))
        except NoRoom:
            self._end(work, "failed", error="no_room")
        except Exception:  # a fault of ours costs one job
            log.exception("web.job_failed", extra={"kind": taken.kind})
            self._end(work, "failed", error="fault")
        else:
            self._end(work, "done", result=result, step="")
        finally:
            self._let_go(taken)

    def _undo_attempt(self, work: Work) -> None:
        """Only a process that dies in the work counts as an attempt."""
        with suppress(RedisError):
            self._end(work, "waiting", attempts=work.job.attempts - 1)

    def _end(self, work: Work, state: State, **changes: Any) -> None:
        """Keep how the work ended, unless the job was removed meanwhile, or another process has it."""
        if self._store.still(work.job.id, self._process):
            self._store.put(replace(work.job, state=state, **changes))

    def _let_go(self, job: Job) -> None:
        with suppress(RedisError):  # it ends by itself
            self._store.let_go(job.id, self._process)
