"""A real worker on a fresh state directory, for the length of a measurement."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.broker.embedded import EmbeddedServer
from workers.broker.status import read_status
from workers.client import Client
from workers.settings import Settings, process_environment


@dataclass(frozen=True)
class RunningWorker:
    """The worker, and a client of it."""

    process: subprocess.Popen[bytes]
    client: Client
    settings: Settings

    def peak_memory_mb(self) -> float:
        """Largest resident size so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return round(int(found[1]) / 1024, 1) if found else float("nan")

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def another_client(self) -> Client:
        """A client with a connection of its own."""
        return Client(self.settings)


@contextmanager
def running_worker(**changes: object) -> Iterator[RunningWorker]:
    """Start server and worker; stop and remove both afterwards.

    Args:
        changes: of the settings.
    """
    with _worker([sys.executable, "-m", "workers", "worker"], changes) as worker:
        yield worker


@contextmanager
def deterministic_worker(preload: Callable[[Client], None] | None = None, **changes: object) -> Iterator[RunningWorker]:
    """The same without a model: the deterministic encoder in its place.

    Args:
        preload: called before the worker starts.
        changes: of the settings.
    """
    options = ["--pool=threads", "--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    program = [sys.executable, "-m", "celery", "-A", "tests.support.owner_app", "worker", *options]
    with _worker([*program, "--recommender=default"], changes, preload) as worker:
        yield worker


@contextmanager
def _worker(
    command: list[str], changes: Mapping[str, object], preload: Callable[[Client], None] | None = None
) -> Iterator[RunningWorker]:
    with tempfile.TemporaryDirectory(prefix="recommender-bench-") as directory:
        server = EmbeddedServer(Path(directory) / "redis")
        given = {"state_dir": Path(directory), "log_level": "WARNING", **changes}
        settings = Settings(redis_url=server.ensure()).replaced(**given)
        client = Client(settings)
        if preload is not None:
            preload(client)
        process = subprocess.Popen(
            command, env={**process_environment(), **settings.to_environment()}, stdout=subprocess.DEVNULL
        )
        try:
            while (read_status(client.redis, client.keys) or {}).get("state") != "running":
                if process.poll() is not None:
                    raise RuntimeError("the worker did not start")
                time.sleep(0.1)
            yield RunningWorker(process, client, settings)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(60)
            client.close()
            server.stop()
