"""Another server becomes the master, and what servers answer that cannot serve at the moment.

A failover loses what the replica had not received: that is Redis's promise, not ours. Ours is that nothing is decided
or published twice, that the owner goes on by itself, and that what a producer sends again is answered.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import exceptions

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.broker.redis.availability import AWAY, Denied, NotNow
from celery_recommender.broker.redis.connections import connect
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.processes import OwnerProcess
from tests.support.producers import Producer, once_each, settle, tickets
from tests.support.sentinels import watched
from tests.support.servers import RedisServer, running
from tests.support.streams import KEYS, published

pytestmark = pytest.mark.server

Record = Callable[[str, object], None]


def failover(directory: Path, record: Record, times: int, count: int) -> None:
    """Kill the master under load, again and again; the old one comes back as the replica."""
    with watched(directory) as servers:
        settings = Settings(redis_url=servers.url, state_dir=directory / "state", batch_items=8)
        items = tickets(count)
        with OwnerProcess(settings, directory / "owner.log").running() as owner, connect(servers.url) as redis:
            producer = Producer(servers.url, items, every_s=0.003)
            producer.start()
            for n in range(times):
                producer.wait_sent((n + 1) * count // (times + 1))
                before = servers.master_port()
                old = servers.master()
                old.kill()
                servers.wait_failover(before)
                old.start()
            producer.finish()
            record("lost", settle(redis, items))
            once_each(published(redis), items)
            app, _ = make_app(settings)
            extra = {"id": "T-x", "text": "through the new master"}
            assert app.tasks["recommender.ingest"].delay(extra).get(timeout=60)["item_id"] == "T-x"
            assert app.send_task("recommender.get", ["T-x"], queue=KEYS.queue).get(timeout=60)["item_id"] == "T-x"
            app.close()
            assert owner.terminate() == 0


def test_the_master_is_killed(tmp_path: Path, record_property: Record) -> None:
    failover(tmp_path, record_property, times=1, count=400)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_master_is_killed_many_times(tmp_path: Path, record_property: Record) -> None:
    failover(tmp_path, record_property, times=8, count=4000)


def test_a_master_is_demoted_and_promoted_behind_one_address(tmp_path: Path) -> None:
    """As behind a name or a virtual address: the connection stays, and the server says READONLY."""
    with (
        running(RedisServer(tmp_path / "one")) as other,
        running(RedisServer(tmp_path / "two")) as server,
        connect(server.url) as redis,
    ):
        assert isinstance(other, RedisServer)
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state")
        with OwnerProcess(settings, tmp_path / "owner.log").running() as owner:
            client = Client(settings, redis)
            client.outcome(client.ingest(tickets(1)[0]))
            redis.execute_command("CONFIG", "SET", "replica-read-only", "yes")
            before = redis.info("stats")["total_connections_received"]
            # A master that does not answer: the replica keeps what it has.
            redis.replicaof("127.0.0.1", 1)
            owner.until(lambda: "not the master" in owner.output, "the owner to be told")
            with pytest.raises(exceptions.ConnectionError, match="not the master"):
                client.ingest(tickets(2)[1])
            assert redis.info("stats")["total_connections_received"] > before + 3, "nobody looked for the master anew"
            redis.replicaof("NO", "ONE")
            assert client.outcome(client.ingest(tickets(2)[1]))["data"]["item_id"] == "T-1"
            once_each(published(redis), tickets(2))


# -- answers of servers that cannot serve now --------------------------------------------------------------------------


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that says the same to everything."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(reply)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"-LOADING Redis is loading the dataset in memory", exceptions.ConnectionError),
        (
            b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            exceptions.ConnectionError,
        ),
        (b"-READONLY You can't write against a read only replica.", exceptions.ConnectionError),
        (b"-UNBLOCKED force unblock from blocking operation, instance state changed", exceptions.ConnectionError),
        (b"-ERR max number of clients reached", exceptions.ConnectionError),
        (b"-NOREPLICAS Not enough good replicas to write.", NotNow),
        (b"-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist", NotNow),
        (b"-BUSY Redis is busy running a script.", NotNow),
        (b"-OOM command not allowed when used memory > 'maxmemory'.", exceptions.OutOfMemoryError),
        (b"-CLUSTERDOWN The cluster is down", AWAY),
        (b"-TRYAGAIN Multiple keys request during rehashing of slot", AWAY),
        (b"no protocol at all", AWAY),
    ],
)
def test_a_server_that_cannot_serve_is_away(reply: bytes, kind: type | tuple[type, ...]) -> None:
    assert isinstance(error_of(reply), kind)
    assert isinstance(error_of(reply), AWAY)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"-WRONGPASS invalid username-password pair or user is disabled.", Denied),
        (b"-NOAUTH Authentication required.", Denied),
        (b"-NOPERM this user has no permissions to run the 'xadd' command", exceptions.ResponseError),
        (b"-WRONGTYPE Operation against a key holding the wrong kind of value", exceptions.ResponseError),
        (b"-ERR unknown command 'XADD'", exceptions.ResponseError),
        (b"-BUSYGROUP Consumer Group name already exists", exceptions.ResponseError),
    ],
)
def test_what_no_waiting_mends_is_not_away(reply: bytes, kind: type) -> None:
    assert isinstance(error_of(reply), kind)
    assert not isinstance(error_of(reply), AWAY)


def error_of(reply: bytes) -> Exception:
    with answering(reply + b"\r\n") as url, connect(url) as redis:
        try:
            redis.get("key")
        except Exception as error:
            return error
    raise AssertionError("no error")


def test_an_owner_bides_while_the_server_takes_no_writes(tmp_path: Path) -> None:
    """Too few replicas, and a disk that takes nothing; what was sent before is decided afterwards."""
    server = RedisServer(tmp_path / "server", ["--port", "{port}", "--enable-debug-command", "yes"])
    with running(server), connect(server.url) as redis:
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", lease_s=1.0)
        with OwnerProcess(settings, tmp_path / "owner.log").running() as owner:
            client = Client(settings, redis)
            client.outcome(client.ingest(tickets(1)[0]))
            for n, (name, value, back) in enumerate([("min-replicas-to-write", 1, 0), ("maxmemory", 1, 0)], 1):
                position = client.ingest(tickets(9)[n])
                redis.config_set(name, value)
                owner.until(lambda: "lease.server_away" in owner.output, "the owner to notice")
                with pytest.raises((NotNow, Overloaded), match=r"Not enough good replicas|at its maxmemory"):
                    client.ingest(tickets(5)[4])
                redis.config_set(name, back)
                assert client.outcome(position)["data"]["item_id"] == f"T-{n}"
            assert owner.terminate() == 0
            once_each(published(redis), tickets(3))


def test_a_key_of_another_kind_ends_the_owner(tmp_path: Path) -> None:
    with running(RedisServer(tmp_path / "server")) as server, connect(server.url) as redis:
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state")
        with OwnerProcess(settings, tmp_path / "owner.log").running() as owner:
            redis.delete(KEYS.commands)
            redis.set(KEYS.commands, "not a stream")
            assert owner.wait() != 0
            assert "WRONGTYPE" in owner.output


def test_a_wrong_password_ends_the_owner(tmp_path: Path) -> None:
    options = ["--port", "{port}", "--requirepass", "right"]
    server = RedisServer(tmp_path / "server", options, "redis://:right@127.0.0.1:{port}/0")
    with running(server):
        settings = Settings(
            redis_url=server.url.replace("right", "wrong"),
            broker_url=server.url,
            result_backend="disabled",
            state_dir=tmp_path / "state",
        )
        with OwnerProcess(settings, tmp_path / "owner.log").start() as owner:
            assert owner.wait() != 0
            assert "invalid username-password pair" in owner.output
            assert "wrong@" not in owner.output
