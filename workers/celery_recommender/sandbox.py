"""A worker, and a server if need be, for the length of a demonstration or a measurement.

Child processes run in sessions of their own, so that an interrupt in the terminal reaches only their parent, which then
ends them in order.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.embedded import EmbeddedServer
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.client import Client
from celery_recommender.ending import ENDED_BY_SIGTERM, leave_it_to_others
from celery_recommender.settings import Settings, process_environment
from recommender_engine.errors import RecommenderError

WORKER = (sys.executable, "-m", "celery_recommender", "worker")

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.05
_LINES_SHOWN = 8
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ProcessFailed(RecommenderError):
    """A process that was started has failed; the message holds the end of its log."""


@dataclass(frozen=True)
class RunningWorker:
    """A worker that serves, and a client of it.

    Attributes:
        process: the worker.
        client: of its partition.
        settings: the worker's.
        log: file that takes its output.
    """

    process: subprocess.Popen[bytes]
    client: Client
    settings: Settings
    log: Path

    def require(self) -> None:
        """Make sure that it is still there.

        Raises:
            ProcessFailed: it has ended.
        """
        if self.process.poll() is not None:
            raise ProcessFailed(f"the worker has ended: {log_end(self.log)}")

    def stop(self) -> None:
        """End it in order, and wait for that."""
        stop(self.process)

    def peak_memory_mb(self) -> float:
        """Largest resident size so far, in MiB; Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return round(int(found[1]) / 1024, 1) if found else float("nan")

    def cpu_s(self) -> float:
        """Processor seconds used so far; Linux only."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def another_client(self) -> Client:
        """A client with a connection of its own."""
        return Client(self.settings)


def sandboxed(settings: Settings, **changes: object) -> Settings:
    """The settings without what concerns others: other partitions, their routes and workers, backups, tasks, brokers.

    Args:
        settings: as they were set.
        changes: made besides.

    Raises:
        ConfigurationError: a change is not valid.
    """
    alone: dict[str, object] = {
        "broker_url": "",
        "result_backend": "",
        "partitions": (),
        "routes": (),
        "deliver_task": "",
        "backup_dir": None,
        "standby": False,
        "embed_workers": 0,
        "metrics_port": 0,
    }
    return settings.replaced(**{**alone, **changes})


@contextmanager
def nearby(settings: Settings, prefix: str) -> Iterator[Settings]:
    """The settings with a state directory of their own, and a server in it unless they name one; gone afterwards.

    It is ended in order, so that nothing is left behind.

    Args:
        settings: to begin with.
        prefix: of the directory's name.
    """
    with ended_in_order(), tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        settings = settings.replaced(state_dir=Path(name))
        if settings.redis_url:
            yield settings
            return
        server = EmbeddedServer(settings.state_dir / "redis")
        try:
            yield settings.replaced(redis_url=server.ensure())
        finally:
            server.stop()


@contextmanager
def running_worker(
    settings: Settings,
    command: Sequence[str] = WORKER,
    preload: Callable[[Client], None] | None = None,
) -> Iterator[RunningWorker]:
    """A worker process that serves, for the length of a block; the keys of its partition are gone afterwards.

    Args:
        settings: of the worker; they name a server, and an unused partition.
        command: that starts it.
        preload: called with a client before it is started.

    Raises:
        ConfigurationError: clients with these settings would talk to another partition.
        ProcessFailed: it did not start.
    """
    settings.require_member()
    client = Client(settings)
    try:
        if preload is not None:
            preload(client)
        log = settings.state_dir / f"worker-{settings.partition}.log"
        process = start(command, {**process_environment(), **settings.to_environment()}, log)
        try:
            worker = RunningWorker(process, client, settings, log)
            wait_for(worker.require, lambda: (read_status(client.redis, client.keys) or {}).get("state") == "running")
            yield worker
        except BaseException:  # all that it has is thrown away: it need not end in order
            process.kill()
            raise
        finally:
            stop(process)
    finally:
        client.redis.delete(*PartitionKeys.of(settings.partition, settings.key_prefix))
        client.close()


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a new session.

    Args:
        command: program and arguments.
        environment: all of it.
        log: file that takes its output.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (our own program, our own arguments)
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process in order, or else by force, and wait for that."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except BaseException as error:  # it hangs, or the caller is interrupted
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


def wait_for(require: Callable[[], None], condition: Callable[[], bool], timeout_s: float = _START_TIMEOUT_S) -> None:
    """Wait until a condition is true.

    Args:
        require: raises what is to end the waiting.
        condition: asked again and again.
        timeout_s: how long.

    Raises:
        ProcessFailed: it took too long.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        require()
        if time.monotonic() > deadline:
            raise ProcessFailed(f"nothing came within {timeout_s:.0f} s")
        time.sleep(_POLL_S)


def log_end(log: Path) -> str:
    """The last lines of a log, in one."""
    return " | ".join(log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:])


@contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM, SIGHUP and an interrupt end the block with an exception each time; only the main thread gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    leave_it_to_others()  # what has been started here has to be stopped
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGTERM:
        raise SystemExit(ENDED_BY_SIGTERM)
    raise KeyboardInterrupt
