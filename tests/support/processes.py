"""Real Celery workers in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.exceptions import RedisError

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.settings import PREFIX, Settings
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
SOURCES = os.pathsep.join(map(str, (ROOT, ROOT / "recommender", ROOT / "workers")))
"""What Python needs on its path: the tests, and the two source roots."""

FAST_APP = "tests.support.owner_app"
EMBED_APP = "tests.support.fleet_app:embed"
REAL_MODEL_APP = "tests.support.real_model_app"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class WorkerProcess:
    """``celery -A APP worker …``, as its user would start it.

    Args:
        app: module that holds the Celery app.
        settings: which it reads from its environment.
        log: file that takes its output.
        options: of ``celery worker``.
        directory: where it runs; modules there can be imported.
        environment: further variables.
        prefix: a command that runs the worker in a surrounding of its own.
    """

    def __init__(
        self,
        app: str,
        settings: Settings,
        log: Path,
        options: Sequence[str] = (),
        *,
        directory: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.log = log
        celery = [sys.executable, "-m", "celery", "-A", app, "worker", *QUIET, "--loglevel=INFO"]
        self._command = [*prefix, *celery, *options]
        self._directory = directory
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            **settings.to_environment(),
            "PYTHONPATH": os.pathsep.join((SOURCES, str(directory))),
            "PYTHONWARNINGS": "ignore",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def start(self) -> Self:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def running(self) -> Self:
        """Start it and wait until it serves."""
        return self.start().wait_ready()

    def wait_ready(self, timeout_s: float = 120.0) -> Self:
        self.until(lambda: "ready." in self.output, "the worker to be ready", timeout_s)
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Its exit status; negative for a signal."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def terminate(self, timeout_s: float = 30.0) -> int:
        """SIGTERM, as a supervisor sends it; its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, for it and what it has started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            error.add_note(f"{self.log.name} ends:\n{self.output[-4000:]}")

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        """Wait for a condition; an error at once if the worker has ended."""

        def check() -> object:
            assert self._process is not None
            if (code := self._process.poll()) is not None:
                raise RuntimeError(f"the worker ended with {code} while the test waited for {what}")
            return condition()

        wait_until(check, what, timeout_s)


class EmbedProcess(WorkerProcess):
    """A worker that embeds for owners."""

    def __init__(
        self, settings: Settings, log: Path, app: str = EMBED_APP, pool: str = "threads", **others: Any
    ) -> None:
        options = [f"--pool={pool}", "--concurrency=1", f"--queues={settings.embed_queue}", f"--hostname={log.stem}@%h"]
        super().__init__(app, settings, log, options, **others)


class OwnerProcess(WorkerProcess):
    """A worker that owns the partition of its settings."""

    def __init__(
        self, settings: Settings, log: Path, app: str = FAST_APP, pool: str = "threads", **others: Any
    ) -> None:
        options = [f"--pool={pool}", "--concurrency=2", f"--recommender={settings.partition}", "--hostname=owner@%h"]
        super().__init__(app, settings, log, options, **others)

    def wait_ready(self, timeout_s: float = 120.0) -> Self:
        """Wait until the status in Redis shows this process running."""
        self.until(self._runs, "the owner to run", timeout_s)
        return self

    def _runs(self) -> bool:
        status = self.status() or {}
        return (status.get("pid"), status.get("state")) == (self.pid, "running")

    def status(self) -> dict[str, Any] | None:
        """The last status of the owner; ``None`` also while the server is away."""
        try:
            with connect(self.settings.redis_url) as redis:
                return read_status(redis, PartitionKeys.of(self.settings.partition, self.settings.key_prefix))
        except RedisError:
            return None
