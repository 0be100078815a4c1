"""Real servers: the embedded one, and the program ``redis-server`` on a TCP port. Both keep an append-only file."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from redis.exceptions import RedisError

from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import EmbeddedServer
from tests.support.waiting import wait_until

KINDS = ("embedded", "redis-server")


class Server(Protocol):
    """A server that a test may kill."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None:
        """SIGKILL; confirmed commands are in the append-only file."""

    def stop(self) -> None: ...


class Embedded:
    """The server that the product starts by itself."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = EmbeddedServer(directory)

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.stop()
        self._server = EmbeddedServer(self._directory)
        self._server.ensure()

    def kill(self) -> None:
        with connect(self.url) as redis:
            os.kill(redis.info("server")["process_id"], signal.SIGKILL)
        wait_until(lambda: not self._server.is_running(), "the server to die")

    def stop(self) -> None:
        self._server.stop()


class RedisServer:
    """``redis-server`` on a free port of 127.0.0.1.

    Args:
        directory: where its files go.
        options: command line behind the standard one.
        url: how clients reach it; by default without password.
        environment: further variables.
        prefix: a command that runs it in a surrounding of its own.
        program: another one that takes the same options, ``valkey-server``: a path, or a name to be looked up.
    """

    def __init__(
        self,
        directory: Path,
        options: Sequence[str] = (),
        url: str = "redis://127.0.0.1:{port}/0",
        program: Path | str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._program = str(program or "redis-server")
        self._environment = {**os.environ, **(environment or {})}
        self._prefix = prefix
        self.port = free_port()
        self._options = [option.format(port=self.port) for option in options] or ["--port", str(self.port)]
        self.url = url.format(port=self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which(self._program)
        if program is None:
            pytest.skip(f"needs the program {self._program}")
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._prefix, program, "--bind", "127.0.0.1", "--dir", str(self._directory), "--save", ""),
                    *("--appendonly", "yes", "--appendfsync", "everysec", *self._options),
                ],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, "redis-server to answer")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)

    @property
    def _log(self) -> Path:
        return self._directory / "server.log"

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"redis-server ended: {self._log.read_text()[-500:]}")
        try:
            with connect(self.url) as redis:
                return bool(redis.ping())
        except RedisError:
            return False


def make_server(kind: str, directory: Path) -> Server:
    """A server of one of the ``KINDS``, not started."""
    return Embedded(directory) if kind == "embedded" else RedisServer(directory)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start it, and stop it in any case."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A free TCP port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
