"""Every way to reach a server: password, ACL user, Unix socket with a password, Sentinel; TLS has a
module of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.answering import PASSWORD, QUOTED, answers_over
from tests.support.servers import RedisServer, Server, free_port, running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server


def test_password(tmp_path: Path) -> None:
    options = ["--port", "{port}", "--requirepass", PASSWORD]
    server = RedisServer(tmp_path / "server", options, f"redis://:{QUOTED}@127.0.0.1:{{port}}/2")
    with running(server):
        answers_over(server.url, tmp_path)


def test_acl_user(tmp_path: Path) -> None:
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default off\nuser recommender on >{PASSWORD} ~* &* +@all -@dangerous +info\n")
    options = ["--port", "{port}", "--aclfile", str(acl)]
    server = RedisServer(tmp_path / "server", options, f"redis://recommender:{QUOTED}@127.0.0.1:{{port}}/0")
    with running(server):
        answers_over(server.url, tmp_path)


@pytest.mark.parametrize("form", [":{password}@{path}?db=1", "{path}?db=1&password={password}"])
def test_unix_socket_with_a_password(tmp_path: Path, form: str) -> None:
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--requirepass", PASSWORD]
    server = RedisServer(tmp_path / "server", options, "unix://" + form.format(password=QUOTED, path=path))
    with running(server):
        answers_over(server.url, tmp_path)


def test_sentinel(tmp_path: Path) -> None:
    with running(RedisServer(tmp_path / "server")) as master, sentinel(tmp_path, master) as url:
        answers_over(url, tmp_path)


@contextmanager
def sentinel(directory: Path, master: Server) -> Iterator[str]:
    """A sentinel that watches the server; its URL."""
    program = shutil.which("redis-server")
    assert program is not None
    port = free_port()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor main 127.0.0.1 {urlsplit(master.url).port} 1\n"
    )
    process = subprocess.Popen([program, configuration, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port) as redis:
            wait_until(lambda: answers(redis), "the sentinel to answer")
        yield f"sentinel://127.0.0.1:{port}/main/0"
    finally:
        process.terminate()
        process.wait(15)


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
