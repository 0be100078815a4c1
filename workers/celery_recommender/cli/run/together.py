"""A worker and a page as child processes of one command, which end with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.cli.asking import owner_is_at_work, server_at_work
from celery_recommender.cli.common import err
from celery_recommender.sandbox import WORKER, ProcessFailed, log_end, start, stop, wait_for
from celery_recommender.settings import Settings, process_environment

_PAGE = (sys.executable, "-m", "celery_recommender", "web")
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Service:
    """A process that was started.

    Attributes:
        name: of what it is, for messages.
        process: it.
        log: file that takes its output.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require(self) -> None:
        """Make sure that it is still there.

        Raises:
            ProcessFailed: it has ended; the message holds the end of its log.
        """
        if self.process.poll() is not None:
            raise ProcessFailed(f"the {self.name} has ended: {log_end(self.log)}")


@contextmanager
def worker_at_work(settings: Settings) -> Iterator[list[Service]]:
    """See to it that a worker owns the partition: gives the one that was started, none if one was there.

    Raises:
        ProcessFailed: it did not start.
    """
    if owner_is_at_work(settings):
        yield []
        return
    with _started("worker", WORKER, settings) as worker:
        wait_for(worker.require, lambda: _serves(settings))
        yield [worker]


@contextmanager
def page_at_work(settings: Settings) -> Iterator[tuple[Service, str]]:
    """Start the page on its port, or where that is taken on a free one; gives its address.

    Raises:
        ProcessFailed: it did not start.
    """
    host, port = settings.web_host, _free_port(settings.web_host, settings.web_port)
    with _started("page", _PAGE, settings.replaced(web_port=port)) as page:
        wait_for(page.require, lambda: _listens(host, port))
        yield page, f"http://{f'[{host}]' if ':' in host else host}:{port}"


def keep_running(services: Sequence[Service]) -> None:
    """Wait for an interrupt, or until one of them ends.

    Raises:
        ProcessFailed: one has ended.
    """
    err.print("running until Ctrl-C", style="dim")
    try:
        while True:
            for service in services:
                service.require()
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        err.print("stopping", style="dim")


def program() -> str:
    """How this command is called in the terminal that it was called in."""
    called = Path(sys.argv[0])
    found = shutil.which("recommender")
    if called.name != "recommender" or (found is not None and Path(found).resolve() == called.resolve()):
        return "recommender"
    near = os.path.relpath(called)
    return str(called) if near.startswith("..") else near


@contextmanager
def _started(name: str, command: Sequence[str], settings: Settings) -> Iterator[Service]:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    log = settings.state_dir / f"{name}.log"
    with ExitStack() as stack:
        process = start(command, {**process_environment(), **settings.to_environment()}, log)
        stack.callback(stop, process)
        yield Service(name, process, log)


def _serves(settings: Settings) -> bool:
    """Whether a worker is past its start: the model is loaded."""
    url = server_at_work(settings)
    if url is None:
        return False
    with connect(url) as redis:
        status = read_status(redis, PartitionKeys.of(settings.partition, settings.key_prefix))
    return (status or {}).get("state") == "running"


def _free_port(host: str, port: int) -> int:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
        except OSError:
            return _free_port(host, 0) if port else 0
        return int(listening.getsockname()[1])


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
