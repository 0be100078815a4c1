"""A password stands in a URL and nowhere else: not in a log, an error, a status, a metric, or what a command prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.cli import main
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.command_line import run
from tests.support.processes import OwnerProcess
from tests.support.servers import RedisServer, free_port, running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

SECRET = "tiger/li?ly"
QUOTED = "tiger%2Fli%3Fly"
WRONG = "crocodile"
TELLTALES = (SECRET, QUOTED, "tiger", WRONG)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    options = ["--port", "{port}", "--requirepass", SECRET]
    url = f"redis://default:{QUOTED}@127.0.0.1:{{port}}/0"
    with running(RedisServer(tmp_path_factory.mktemp("server"), options, url)) as started:
        assert isinstance(started, RedisServer)
        yield started


def told(settings: Settings, *arguments: str) -> str:
    """What a command says, whatever comes of it; with Python's own tracebacks, had it any."""
    done = run(settings, *arguments, timeout_s=60)
    return f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"


def give_away(text: str) -> list[str]:
    """Lines in which a password stands, in any form."""
    return [line for line in text.splitlines() if any(telltale in line for telltale in TELLTALES)]


def fetch(port: int, path: str) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def kept(redis: Redis) -> str:
    """Everything in the server that can be read as text."""
    readers: dict[bytes, Callable[[bytes], object]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"stream": redis.xrange,
    }
    kinds = {key: redis.type(key) for key in redis.scan_iter()}
    return "\n".join(f"{key}: {readers[kind](key)}" for key, kind in kinds.items() if kind in readers)


def test_a_running_worker_says_no_password(server: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(
        redis_url=server.url, state_dir=tmp_path / "state", metrics_port=port, log_level="DEBUG", log_format="json"
    )
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "a kettle"}\n')
    with OwnerProcess(settings, tmp_path / "owner.log") as owner:
        owner.running()
        said = [
            told(settings, "doctor"),
            told(settings, "ingest", str(tmp_path / "items.jsonl")),
            told(settings, "stats"),
        ]
        assert [text.splitlines()[0] for text in said if "exit 0" not in text.splitlines()[0]] == []
        assert "redis://default:***@127.0.0.1" in said[0]
        with connect(server.url) as redis:
            assert Client(settings, redis).last_event().ms > 0
            said.append(kept(redis))
            assert "running" in said[-1]
        said += [fetch(port, "/metrics"), fetch(port, "/healthz")]
        server.kill()
        owner.until(lambda: "server_away" in owner.output, "the server to be missed")
        server.start()
        owner.until(lambda: "intake.server_back" in owner.output, "the server to be back")
        assert owner.terminate() == 0
        said.append(owner.output)
    assert "owner.ready" in owner.output
    assert give_away("\n".join(said)) == []


def test_a_wrong_password_is_not_repeated(server: RedisServer, tmp_path: Path) -> None:
    url = server.url.replace(QUOTED, WRONG)
    settings = Settings(redis_url=url, state_dir=tmp_path / "state", log_level="DEBUG")
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "a kettle"}\n')
    said = [told(settings, "doctor"), told(settings, "ingest", str(tmp_path / "items.jsonl"))]
    assert all("exit 1" in text for text in said)
    assert all("invalid username-password pair" in text for text in said)
    with OwnerProcess(settings, tmp_path / "owner.log") as owner:
        assert owner.start().wait() == os.EX_CONFIG
        assert "invalid username-password pair" in owner.output
        said.append(owner.output)
    assert give_away("\n".join(said)) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://user:tiger@127.0.0.1", "must begin with one of"),
        ("redis://user:tiger@127.0.0.1:port", "redis://user:***@127.0.0.1:port"),
        ("redis://user:tiger@127.0.0.1/0?socket_timeout=soon", "socket_timeout"),
        ("redis://user:tiger@127.0.0.1:1", "redis://user:***@127.0.0.1:1"),
        ("unix:///none.sock?password=tiger", "unix://:***@/none.sock"),
        ("sentinel://user:tiger@127.0.0.1", "is not sentinel://"),
        ("rediss://user:tiger@127.0.0.1:1/0?ssl_ca_certs=/none.pem", "rediss://user:***@127.0.0.1:1"),
    ],
    ids=lambda value: value if "tiger" in value else "",
)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["", "json"])
def test_an_address_that_leads_nowhere_keeps_its_password(
    tmp_path: Path, url: str, reason: str, options: list[str]
) -> None:
    environment = {**Settings(state_dir=tmp_path).to_environment(), "RECOMMENDER_REDIS_URL": url}
    result = CliRunner().invoke(main, ["doctor", *options], env=environment)
    assert result.exit_code == 1
    assert reason in result.output
    assert give_away(result.output) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"broker_url": "amqp://user:tiger@127.0.0.1:1//"}, "Cannot connect to amqp://user:**@127.0.0.1:1//"),
        ({"broker_url": "nonesuch://user:tiger@127.0.0.1/"}, "nonesuch"),
        ({"result_backend": "db+nonesuch://user:tiger@127.0.0.1/x"}, "sqlalchemy"),
    ],
    ids=["broker", "kind of broker", "result backend"],
)
def test_a_broker_that_is_not_there_keeps_its_password(
    server: RedisServer, tmp_path: Path, changes: dict[str, str], reason: str
) -> None:
    settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", **changes)
    with OwnerProcess(settings, tmp_path / "owner.log") as owner:
        owner.start()
        wait_until(lambda: reason in owner.output, reason)
    assert give_away(owner.output) == []
