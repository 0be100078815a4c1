"""Backups that the owner makes: on schedule or on request, while it goes on deciding."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from celery_recommender.settings import Settings, naming
from recommender_engine import Recommender, backups
from recommender_engine.backups import Backup, Origin
from recommender_engine.errors import StateError
from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId
from recommender_engine.store import DatabaseCopy

log = event_log(__name__)

CREATED_BY = "celery-recommender"

_RETRY_S = 60.0
_MOST_LOG_BYTES = 1 << 30
_ERASURES_EVERY_S = 60.0  # between backups without what was erased …
_SHARE = 10  # … which take a tenth of the time at most


@dataclass
class _Job:
    """A backup being written."""

    copy: DatabaseCopy
    waiting: list[Future[Backup]]
    cancelled: threading.Event = field(default_factory=threading.Event)
    begun_s: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None
    backup: Backup | None = None
    error: Exception | None = None


class BackupRequests:
    """Requests for a backup, from any thread, until the owner makes it."""

    def __init__(self) -> None:
        self._waiting: list[Future[Backup]] = []
        self._lock = threading.Lock()
        self._closed = False

    def ask(self) -> Future[Backup]:
        """A backup as soon as possible."""
        answer: Future[Backup] = Future()
        with self._lock:
            if self._closed:
                answer.set_exception(StateError("the owner is shutting down"))
            else:
                self._waiting.append(answer)
        return answer

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> list[Future[Backup]]:
        """Those that wait."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def close(self) -> None:
        """Refuse those that wait, and those that come from now on."""
        with self._lock:
            self._closed = True
        for answer in self.take():
            answer.set_exception(StateError("the owner is shutting down"))


class BackupKeeper:
    """Makes backups on a thread of its own. The engine thread begins and ends them; it never waits for one.

    Args:
        engine: of whose state backups are made.
        settings: where backups go, how often they are made, how many are kept.
        requests: for backups out of turn.

    Attributes:
        newest: the last backup that was verified, by this process or the one before.
        current_at: when all that was decided was last in it.
        failures: how many could not be made.
    """

    def __init__(self, engine: Recommender, settings: Settings, requests: BackupRequests) -> None:
        self._engine = engine
        self._settings = settings
        self._scheduled = settings.backup_dir is not None
        self._directory = backup_directory(settings)
        self._requests = requests
        self._job: _Job | None = None
        self._due_s = 0.0
        self._hurried = False
        self._next_without_erased_s = 0.0
        self._saved: EntryId | None = None
        self.newest: Backup | None = None
        self.current_at: datetime | None = None
        self.failures = 0

    @property
    def keep_from(self) -> EntryId | None:
        """Up to where commands are in a backup that this process has verified; ``None`` when none are to be made."""
        return (self._saved or START) if self._scheduled else None

    def hurry(self) -> None:
        """The last one cannot be used any more: where any are made, make another soon."""
        self._hurried = True

    def start(self) -> None:
        """Go on where the process before ended."""
        if not self._scheduled:
            return
        known = backups.listed(self._directory, self._settings.partition)
        self.newest = known[0] if known else None
        if self.newest is not None:
            self.current_at = self.newest.created_at
            age_s = max(0.0, (datetime.now(UTC) - self.current_at).total_seconds())  # the clock may have been set back
            self._due_s = time.monotonic() + max(0.0, self._settings.backup_every_s - age_s)

    def tend(self) -> None:
        """End what is done, begin what is due; called by the engine thread now and then."""
        if self._job is not None:
            self._look_after(self._job)
        elif self._requests or (self._scheduled and (self._hurried or self._is_due())):
            self._begin()

    def _is_due(self) -> bool:
        """By the interval; or the newest backup, and the commands kept since, hold what was erased."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            return True
        if self.newest is None or now_s < self._next_without_erased_s:
            return False
        erasure = self._engine.notes.last_erasure()
        return erasure is not None and self.newest.manifest.place[0] < erasure

    def stop(self) -> None:
        """Give up what is not done, and refuse further requests."""
        if self._job is not None:
            self._job.cancelled.set()
            if self._job.thread is not None:
                self._job.thread.join()
            self._end(self._job)
        self._requests.close()

    def facts(self) -> dict[str, str]:
        """For the status."""
        if self.newest is None or self.current_at is None:
            return {}
        return {"backup_position": self.newest.manifest.position, "backup_at": self.current_at.isoformat()}

    def _begin(self) -> None:
        waiting = self._requests.take()
        self._hurried = False
        self._due_s = time.monotonic() + self._settings.backup_every_s
        if not waiting and self._saved == self._engine.position:  # nothing has happened since
            self.current_at = datetime.now(UTC)
            return
        try:
            job = _Job(self._engine.begin_copy(), waiting)
        except (StateError, OSError) as error:
            self._failed(error, waiting)
            return
        job.thread = threading.Thread(target=self._write, args=(job,), name="recommender-backup", daemon=True)
        self._job = job
        job.thread.start()

    def _write(self, job: _Job) -> None:
        """The thread."""
        origin = Origin(self._settings.partition, datetime.now(UTC), CREATED_BY)
        try:
            job.backup = backups.write(job.copy, self._directory, origin, job.cancelled.is_set)
            gone = backups.prune(job.backup, self._settings.backup_keep if self._scheduled else 1)
            if gone:
                log.info("backups.pruned", extra={"count": len(gone)})
        except Exception as error:  # the engine thread logs it, and goes on
            job.error = error

    def _look_after(self, job: _Job) -> None:
        if job.thread is not None and job.thread.is_alive():
            if job.copy.log_bytes() > max(_MOST_LOG_BYTES, job.copy.size_bytes):
                log.error("backups.too_slow", extra={"log_bytes": job.copy.log_bytes()})
                job.cancelled.set()
            return
        self._end(job)

    def _end(self, job: _Job) -> None:
        self._job = None
        now_s = time.monotonic()
        self._next_without_erased_s = now_s + max(_ERASURES_EVERY_S, (_SHARE - 1) * (now_s - job.begun_s))
        try:
            self._engine.end_copy()
        except StateError as error:  # the write-ahead log is moved later
            log.warning("backups.log_not_moved", extra={"error": str(error)})
        if job.backup is not None:  # written and verified, even if older ones could not be deleted
            self.newest, self._saved = job.backup, job.copy.facts.position
            self.current_at = job.backup.created_at
            for answer in job.waiting:
                answer.set_result(job.backup)
        if job.error is not None:
            self._failed(job.error, [] if job.backup else job.waiting)

    def _failed(self, error: Exception, waiting: list[Future[Backup]]) -> None:
        self.failures += 1
        self._due_s = time.monotonic() + min(_RETRY_S, self._settings.backup_every_s)
        log.error("backups.failed", extra={"error": naming(error, self._settings)})
        for answer in waiting:
            answer.set_exception(error)


def backup_directory(settings: Settings) -> Path:
    """Where the owner writes backups; without a setting, those that were requested and are yet to be fetched."""
    return settings.backup_dir or settings.state_dir / "backups"
