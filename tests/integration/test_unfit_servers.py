"""Servers on which nothing can work: ``worker`` and ``doctor`` say what it is, which setting, which key, what to do."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from celery import Celery
from click.testing import CliRunner
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from celery_recommender.broker.redis import patience
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import find_server_program
from celery_recommender.broker.redis.fitness import Unfit, explained, faults, require_fit
from celery_recommender.celery.worker.plugin import attach
from celery_recommender.cli import main
from celery_recommender.settings import Settings
from tests.support.command_line import run
from tests.support.encoders import FixedEncoders
from tests.support.listeners import listening, says_nothing
from tests.support.processes import OwnerProcess
from tests.support.servers import RedisServer, free_port, running

pytestmark = pytest.mark.server

URL = "redis://127.0.0.1:{port}/0"


def server(directory: Path, *options: str, url: str = URL) -> RedisServer:
    return RedisServer(directory / "server", ["--port", "{port}", *options], url, find_server_program())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server with nothing wrong, and a user who may use the keys of a team."""
    with running(server(tmp_path_factory.mktemp("plain"))) as started:
        with Redis.from_url(started.url) as redis:
            rules = ["reset", "on", ">secret", "~team1:*", "+@all", "-@dangerous", "+info"]
            redis.execute_command("ACL", "SETUSER", "team", *rules)
            redis.execute_command(
                "ACL", "SETUSER", "reader", "reset", "on", ">secret", "~*", "+@read", "+info", "+ping"
            )
            redis.rpush("taken:recommender:default:events", "somebody else's")
        assert isinstance(started, RedisServer)
        yield started


def http(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def tls(connection: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with context.wrap_socket(connection, server_side=True) as wrapped:
        wrapped.recv(100)


def told(url: str, directory: Path, **changes: Any) -> str:
    """What ``worker`` says before it begins; ``doctor`` fails with the same words."""
    settings = Settings(redis_url=url, state_dir=directory / "state", **changes)
    with pytest.raises(Unfit, match="RECOMMENDER_") as caught:
        require_fit(settings)
    said = CliRunner().invoke(main, ["doctor"], env=settings.to_environment())
    assert said.exit_code == 1, said.output
    words = str(caught.value).partition(": ")[0]
    assert words in said.output, said.output
    assert "secret" not in said.output + str(caught.value)
    return str(caught.value)


def test_a_node_of_a_cluster(tmp_path: Path) -> None:
    with running(server(tmp_path, "--cluster-enabled", "yes")) as node:
        assert "RECOMMENDER_REDIS_URL names is a node of a Redis Cluster" in told(node.url, tmp_path)
        done = run(Settings(redis_url=node.url, state_dir=tmp_path / "state", log_format="json"), "worker")
        assert done.returncode == os.EX_CONFIG
        assert "Redis Cluster is not supported" in done.stderr.splitlines()[-1]


def test_a_replica(plain: RedisServer, tmp_path: Path) -> None:
    with running(server(tmp_path, "--replicaof", f"127.0.0.1 {plain.port}")) as replica:
        assert f"is a replica of 127.0.0.1:{plain.port}, which takes no writes" in told(replica.url, tmp_path)


def test_an_app_of_the_user_is_refused_at_the_first_use(plain: RedisServer, tmp_path: Path) -> None:
    """By a producer before it sends, by an embed worker, and by a worker that is to own the partition."""
    with running(server(tmp_path, "--replicaof", f"127.0.0.1 {plain.port}")) as replica:
        settings = Settings(redis_url=replica.url, state_dir=tmp_path / "state")
        app = Celery("shop", broker=replica.url, backend=replica.url, set_as_current=False)
        plugin = attach(app, settings, FixedEncoders())
        with pytest.raises(Unfit, match=r"is a replica of .*, which takes no writes: name the master"):
            app.tasks["recommender.ingest"].delay({"id": "1", "text": "a kettle"})
        with pytest.raises(Unfit, match="is a replica of"):
            plugin.embed("default", "1")
        with OwnerProcess(settings, tmp_path / "owner.log") as owner:
            assert owner.start().wait(60) == os.EX_CONFIG
            assert "--recommender: the server that RECOMMENDER_REDIS_URL names is a replica" in owner.output
            assert "Traceback" not in owner.output


def test_a_wrong_password(plain: RedisServer, tmp_path: Path) -> None:
    url = plain.url.replace("//", "//team:secret2@")
    assert "refuses the user or password of RECOMMENDER_REDIS_URL" in told(url, tmp_path)


def test_a_database_that_the_server_does_not_have(plain: RedisServer, tmp_path: Path) -> None:
    said = told(plain.url.removesuffix("/0") + "/99", tmp_path)
    assert "has no database of the number that RECOMMENDER_REDIS_URL names" in said


def test_a_port_where_something_else_listens(tmp_path: Path) -> None:
    with listening(http) as port:
        assert "is no Redis server: something else listens" in told(URL.format(port=port), tmp_path)


def test_tls_on_one_side_only(plain: RedisServer, tmp_path: Path) -> None:
    assert "speaks no TLS at this port: begin" in told(plain.url.replace("redis", "rediss"), tmp_path)
    with listening(tls) as port:
        assert "speaks TLS at this port: begin the URL with rediss" in told(URL.format(port=port), tmp_path)
        assert "ssl_ca_certs=FILE" in told(URL.replace("redis", "rediss").format(port=port), tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "items.csv", "--text-field", "text"),
        ("enrich", "items.csv", "out.csv", "--text-field", "text"),
        ("search", "a kettle"),
        ("watch",),
        ("stats",),
        ("feedback", "same", "1", "2"),
        ("configure", "tickets", "ttl_seconds=60"),
        ("delete-collection", "tickets", "--yes"),
        ("backup", "backups"),
        ("move", "tickets", "--to", "b"),
        ("dead-letters", "list"),
        ("doctor",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_tells_of_a_server_that_says_nothing(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it sends anything, and in the time of one look: attempts of ten seconds would add up to minutes."""
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text("id,text\n1,a kettle\n")
    with listening(says_nothing) as port:
        settings = Settings(redis_url=URL.format(port=port), state_dir=tmp_path / "state", partitions=("default", "b"))
        done = run(settings, *arguments, timeout_s=30)
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "it takes connections and does not answer" in said
    assert "RECOMMENDER_REDIS_URL" in said
    assert "Traceback" not in said


def test_a_command_that_uses_tls_on_a_plain_port(plain: RedisServer, tmp_path: Path) -> None:
    settings = Settings(redis_url=plain.url.replace("redis", "rediss"), state_dir=tmp_path / "state")
    done = run(settings, "stats", timeout_s=30)
    assert done.returncode == 1
    assert "speaks no TLS at this port: begin the URL with redis://" in done.stderr


def test_attempts_have_an_end_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py counts them at each of its levels, and the levels are one inside of the other."""
    now_s = 0.0
    attempts = 0

    def hangs() -> None:
        nonlocal now_s, attempts
        now_s, attempts = now_s + 10.0, attempts + 1
        raise TimeoutError("Timeout reading from socket")

    monkeypatch.setattr(patience.time, "monotonic", lambda: now_s)
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    kept = patience.BoundedRetry()
    for before in (0, 2):  # a call that failed leaves nothing behind for the next
        with pytest.raises(TimeoutError, match="reading from socket"):
            kept.call_with_retry(lambda: kept.call_with_retry(hangs, lambda error: None), lambda error: None)
        assert attempts == before + 2


def test_a_user_without_access_to_the_keys(plain: RedisServer, tmp_path: Path) -> None:
    url = plain.url.replace("//", "//team:secret@")
    said = told(url, tmp_path)
    assert "may not use the key recommender:default:commands" in said
    assert "RECOMMENDER_KEY_PREFIX" in said
    require_fit(Settings(redis_url=url, key_prefix="team1:"))


def test_a_key_that_holds_something_else(plain: RedisServer, tmp_path: Path) -> None:
    said = told(plain.url, tmp_path, key_prefix="taken:")
    assert "the key taken:recommender:default:events holds a list, where a stream belongs" in said


def test_refusals_name_the_command_and_the_key_and_never_what_was_written(plain: RedisServer) -> None:
    url = plain.url.replace("//", "//reader:secret@")
    with connect(url) as redis:
        for refused in (lambda: redis.xadd("a:key", {"data": "a text"}), lambda: _in_a_pipeline(redis)):
            with pytest.raises(NoPermissionError, match=r"\(XADD a:key\)$") as caught:
                refused()
            assert "a text" not in str(caught.value)
            assert "RECOMMENDER_REDIS_URL lacks a right" in str(explained(caught.value, url))
    with connect(plain.url) as redis, pytest.raises(ResponseError, match=r"WRONGTYPE.*\(XREAD taken:\S+\)$") as wrong:
        redis.xread({"taken:recommender:default:events": "0"})
    assert "set RECOMMENDER_KEY_PREFIX" in str(explained(wrong.value, plain.url))


def _in_a_pipeline(redis: Redis) -> None:
    with redis.pipeline(transaction=False) as pipe:
        pipe.xadd("a:key", {"data": "a text"})
        pipe.execute()


@pytest.mark.parametrize(
    ("info", "found", "fatal"),
    [
        ({"redis_version": "6.0.9"}, "version 6.0.9: 6.2 is the oldest", True),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.0"}, "", False),
        ({"redis_mode": "sentinel", "redis_version": "8.0.0"}, "is a Sentinel: begin the URL with sentinel://", True),
        ({"redis_version": "7.0.0", "maxmemory_policy": "allkeys-lru"}, "allkeys-lru: set maxmemory-policy", False),
        ({"redis_version": "7.0.0", "aof_enabled": 0}, "no append-only file: set appendonly yes", False),
        ({"redis_version": "7.0.0", "role": "slave", "master_host": "h"}, "replica of h", True),
    ],
)
def test_what_a_server_says_of_itself(info: dict[str, Any], found: str, fatal: bool) -> None:
    class Server:
        def info(self) -> dict[str, Any]:
            return info

    seen = list(faults(Server(), "redis://h"))  # type: ignore[arg-type]
    assert [fault.fatal for fault in seen] == ([fatal] if found else [])
    assert all(found in str(fault) for fault in seen)


def test_a_port_for_metrics_that_is_taken(plain: RedisServer, tmp_path: Path) -> None:
    """An owner ends and names it; a standby beside the owner waits for its turn."""
    port = free_port()
    settings = Settings(redis_url=plain.url, state_dir=tmp_path / "state", metrics_port=port, key_prefix="ports:")
    with ExitStack() as stack:
        owner = stack.enter_context(OwnerProcess(settings, tmp_path / "owner.log")).running()
        other = settings.replaced(partition="other", state_dir=tmp_path / "other")
        second = stack.enter_context(OwnerProcess(other, tmp_path / "second.log")).start()
        assert second.wait(60) == os.EX_CONFIG
        assert f"RECOMMENDER_METRICS_PORT={port} on RECOMMENDER_METRICS_HOST" in second.output
        assert "Traceback" not in second.output
        standby = stack.enter_context(OwnerProcess(settings.replaced(standby=True), tmp_path / "standby.log")).start()
        standby.until(lambda: "health.waits" in standby.output, "the standby to wait for the port")
        owner.kill()
        standby.wait_ready()
        standby.until(lambda: _answers(port), "the standby to serve the port")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
