"""URLs as others write them: the same server for client, worker, Celery and ``doctor``, or one sentence."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError

from celery_recommender.broker.redis.availability import Denied
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import find_server_program
from celery_recommender.settings import Settings
from tests.support.answering import PASSWORD, QUOTED, answers_over
from tests.support.command_line import run
from tests.support.servers import RedisServer, free_port, running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server


@contextmanager
def sentinel(directory: Path, port: int, password: str) -> Iterator[int]:
    """A Sentinel with a password that watches a server with one; its port."""
    own = free_port()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {own}\nbind 127.0.0.1\ndir {directory}\nrequirepass {password}\n"
        f"sentinel monitor main 127.0.0.1 {port} 1\nsentinel auth-pass main {password}\n"
    )
    program = [str(find_server_program()), str(configuration), "--sentinel"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    try:
        with Redis(port=own, password=password) as redis:
            wait_until(lambda: knows_master(redis), "the Sentinel to know the master")
        yield own
    finally:
        process.kill()
        process.wait()


def knows_master(redis: Redis) -> bool:
    try:
        return "main" in redis.sentinel_masters()
    except RedisError:
        return False


def test_sentinels_with_a_password_in_celerys_form(tmp_path: Path) -> None:
    options = ["--port", "{port}", "--requirepass", PASSWORD]
    master = RedisServer(tmp_path / "server", options, f"redis://:{QUOTED}@127.0.0.1:{{port}}/0", find_server_program())
    with running(master), sentinel(tmp_path, master.port, PASSWORD) as port:
        gone = free_port()
        answers_over(
            f"sentinel://:{QUOTED}@127.0.0.1:{gone};sentinel://:{QUOTED}@127.0.0.1:{port}?master_name=main", tmp_path
        )
        here = f"127.0.0.1:{port}"
        refused = pytest.raises(Denied, match=f"the Sentinels {here} refuse the password, or want one: .sentinel_pass")
        with connect(f"sentinel://:{QUOTED}@{here}/main?sentinel_password=other") as redis, refused:
            redis.ping()
        with connect(f"sentinel://{here}/main") as redis, pytest.raises(Denied, match=r"want one.*Authentication"):
            redis.ping()
        unknown = pytest.raises(MasterNotFoundError, match="name no master for 'other': they do not know it")
        with connect(f"sentinel://:{QUOTED}@{here}/other") as redis, unknown:
            redis.ping()
        done = run(Settings(redis_url=f"sentinel://{here}/main", state_dir=tmp_path / "other"), "doctor")
        assert done.returncode == 1
        assert "refuse the password, or want one" in done.stdout
        assert PASSWORD not in done.stdout + done.stderr


def test_sentinels_that_are_away_are_named_within_seconds() -> None:
    """One refuses, and two take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = free_port(), one.getsockname()[1], other.getsockname()[1]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        began = time.monotonic()
        away = pytest.raises(MasterNotFoundError, match=r"none of the Sentinels 127.0.0.1:\d+.* answers: .{,120}$")
        with connect(f"sentinel://{hosts}/main") as redis, away:
            redis.ping()
        assert time.monotonic() - began < 8


def test_ipv6_and_options_of_other_libraries(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6")
    options = ["--port", "{port}", "--bind", "::1"]
    url = "redis://[::1]:{port}?db=2&decode_responses=True&protocol=3&socket_timeout=20"
    with running(RedisServer(tmp_path / "server", options, url, find_server_program())) as server:
        answers_over(server.url, tmp_path)
