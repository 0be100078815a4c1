"""Jobs and their files in Redis: bounded in number, bytes and time, and held by one process at a time."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from redis import Redis

MOST_JOBS = 100
HELD_S = 30
"""How long a process holds a job without a sign of life; then another one goes on with it."""
MOST_ATTEMPTS = 3
_ENDED = ("done", "failed")

State = Literal["draft", "waiting", "running", "done", "failed"]
Part = Literal["given", "made"]
"""The file that a job was given, and the one that it has made."""


class NoRoom(Exception):
    """There are as many jobs, or bytes of files, as may be kept."""


@dataclass(frozen=True)
class Job:
    """A job as Redis keeps it, in JSON.

    Attributes:
        id: random.
        kind: what is done.
        collection: that it is about.
        by: the user who began it.
        state: ``draft`` is not begun; ``waiting`` has no process yet.
        created_ms: when it was made.
        options: of its kind.
        step: what is being done.
        done, total: how much of it.
        attempts: how often a process began, or went on, with it.
        progress: what a process needs that goes on with it.
        result: of its kind, once it is done.
        error: why it failed, a code or a sentence.
    """

    id: str
    kind: str
    collection: str
    by: str
    state: State
    created_ms: int
    options: dict[str, Any] = field(default_factory=dict)
    step: str = ""
    done: int = 0
    total: int = 0
    attempts: int = 0
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will be done."""
        return self.state in _ENDED


class JobStore:
    """The jobs of all web processes.

    Args:
        redis: the server.
        prefix: of the keys (``PartitionKeys.web``).
        most_bytes: of all files together; of one, a quarter.
        hours: until a job and its files are forgotten.
    """

    def __init__(self, redis: Redis, prefix: str, most_bytes: int, hours: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._most_bytes = most_bytes
        self._seconds = max(60, int(hours * 3600))

    @property
    def most_file_bytes(self) -> int:
        """Size of one file."""
        return self._most_bytes // 4

    def add(self, kind: str, collection: str, by: str, state: State, options: dict[str, Any] | None = None) -> Job:
        """A new job; of too many, the oldest that has ended is forgotten.

        Raises:
            NoRoom: none has.
        """
        job = Job(secrets.token_hex(16), kind, collection, by, state, int(time.time() * 1000), options or {})
        known = self.all()
        if len(known) >= MOST_JOBS:
            ended = [one for one in known if one.ended]
            if not ended:
                raise NoRoom
            self.remove(ended[0].id)
        self.put(job)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(self._jobs, {job.id: job.created_ms})
            pipe.expire(self._jobs, self._seconds)
            pipe.execute()
        return job

    def put(self, job: Job) -> None:
        """Keep a job as it is now."""
        self._redis.set(self._of("job", job.id), json.dumps(asdict(job)), ex=self._seconds)

    def get(self, id_: str) -> Job | None:
        """A job, if it is there."""
        found: Any = self._redis.get(self._of("job", id_))
        return None if found is None else Job(**json.loads(found))

    def all(self) -> list[Job]:
        """Every job, the oldest first."""
        names: Any = self._redis.zrange(self._jobs, 0, -1)
        if not names:
            return []
        found: Any = self._redis.mget([self._of("job", name.decode()) for name in names])
        gone = [name for name, text in zip(names, found, strict=True) if text is None]
        if gone:
            self._redis.zrem(self._jobs, *gone)
        return [Job(**json.loads(text)) for text in found if text is not None]

    def remove(self, id_: str) -> None:
        """Forget a job and its files. A process that works on it stops at its next sign of life."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(*[self._of(what, id_) for what in ("job", "held", "given", "made")])
            pipe.zrem(self._jobs, id_)
            pipe.zrem(self._files, f"given {id_}", f"made {id_}")
            pipe.execute()

    # -- files ---------------------------------------------------------------------------------------------------------

    def keep(self, id_: str, part: Part, content: bytes) -> None:
        """Keep a file of a job.

        Raises:
            NoRoom: it is too large, or there is no room beside the others.
        """
        name = f"{part} {id_}"
        if len(content) > self.most_file_bytes:
            raise NoRoom
        with self._redis.pipeline(transaction=True) as pipe:  # reserved first, so that two processes see each other
            pipe.zadd(self._files, {name: len(content)})
            pipe.expire(self._files, self._seconds)
            pipe.execute()
        if self._kept_bytes() > self._most_bytes:
            self._redis.zrem(self._files, name)
            raise NoRoom
        self._redis.set(self._of(part, id_), content, ex=self._seconds)

    def file(self, id_: str, part: Part) -> bytes | None:
        """A file of a job, if it is there."""
        found: bytes | None = self._redis.get(self._of(part, id_))  # type: ignore[assignment]
        return found

    def _kept_bytes(self) -> int:
        """Bytes of all files; those of jobs that have been forgotten leave the count."""
        kept: Any = self._redis.zrange(self._files, 0, -1, withscores=True)
        alive = {job.id for job in self.all()}
        gone = [name for name, _ in kept if name.decode().partition(" ")[2] not in alive]
        if gone:
            self._redis.zrem(self._files, *gone)
        return int(sum(size for name, size in kept if name not in gone))

    # -- processes -----------------------------------------------------------------------------------------------------

    def take(self, job: Job, process: str) -> Job | None:
        """Hold a job that nobody holds; ``None``: another process has it, or it is gone."""
        if not self._redis.set(self._of("held", job.id), process, ex=HELD_S, nx=True):
            return None
        now = self.get(job.id)
        if now is None or now.state not in {"waiting", "running"}:
            self.let_go(job.id, process)
            return None
        taken = replace(now, state="running", attempts=now.attempts + 1)
        self.put(taken)
        return taken

    def still(self, id_: str, process: str) -> bool:
        """A sign of life; whether the job has not ended, and this process holds it.

        A process that was slow, and that none has replaced, holds it again.
        """
        job, name = self.get(id_), self._of("held", id_)
        if job is None or job.ended:
            return False
        if self._redis.set(name, process, ex=HELD_S, nx=True):
            return True
        held: Any = self._redis.get(name)
        if held is None or held.decode() != process:
            return False
        return bool(self._redis.set(name, process, ex=HELD_S))

    def let_go(self, id_: str, process: str) -> None:
        """Hold it no longer."""
        held: Any = self._redis.get(self._of("held", id_))
        if held is not None and held.decode() == process:
            self._redis.delete(self._of("held", id_))

    def _of(self, what: str, id_: str) -> str:
        return f"{self._prefix}{what}:{id_}"

    @property
    def _jobs(self) -> str:
        return f"{self._prefix}jobs"

    @property
    def _files(self) -> str:
        return f"{self._prefix}files"
