"""A master, a replica and a sentinel that watches over them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.servers import RedisServer, free_port, running
from tests.support.waiting import wait_until

SERVICE = "main"


class Watched:
    """Two servers, one of them the master, and the sentinel that knows which.

    Attributes:
        url: for clients.
    """

    def __init__(self, servers: tuple[RedisServer, RedisServer], sentinel_port: int) -> None:
        self.servers = servers
        self.url = f"sentinel://127.0.0.1:{sentinel_port}/{SERVICE}"
        self._sentinel_port = sentinel_port

    def master_port(self) -> int:
        """Port of the master by the sentinel, as clients read it: the new one after the failover."""
        with Redis(port=self._sentinel_port) as sentinel:
            return int(sentinel.sentinel_masters()[SERVICE]["port"])

    def master(self) -> RedisServer:
        port = self.master_port()
        return next(server for server in self.servers if server.port == port)

    def wait_failover(self, before: int) -> None:
        wait_until(lambda: self.master_port() != before, "the sentinel to name another master", 60)


@contextmanager
def watched(directory: Path, *options: str) -> Iterator[Watched]:
    """Start them all.

    Args:
        directory: where their files go.
        options: further ones of both servers.
    """
    program = shutil.which("redis-sentinel")
    if program is None:  # before anything is started that would have to be stopped
        pytest.skip("needs the program redis-sentinel")
    with ExitStack() as stack:
        first = RedisServer(directory / "one", ["--port", "{port}", *options])
        stack.enter_context(running(first))
        following = ["--port", "{port}", "--replicaof", f"127.0.0.1 {first.port}", *options]
        second = RedisServer(directory / "two", following)
        stack.enter_context(running(second))
        wait_until(lambda: _linked(second), "the replica to follow")
        port = stack.enter_context(_sentinel(program, directory, first.port))
        watched = Watched((first, second), port)
        wait_until(lambda: _knows_replica(port), "the sentinel to know the replica")
        yield watched


@contextmanager
def _sentinel(program: str, directory: Path, master_port: int) -> Iterator[int]:
    port = free_port()
    config = directory / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 3000\n"
    )
    with (directory / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([program, str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def _linked(replica: RedisServer) -> bool:
    with Redis.from_url(replica.url) as redis:
        return bool(redis.info("replication").get("master_link_status") == "up")


def _knows_replica(port: int) -> bool:
    try:
        with Redis(port=port) as sentinel:
            return any(not one["is_disconnected"] for one in sentinel.sentinel_slaves(SERVICE))
    except RedisError:
        return False
