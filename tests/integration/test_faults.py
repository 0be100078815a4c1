"""The server goes away, supervisors stop the owner, the state cannot be used."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.redis.connections import connect
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine import open_recommender
from recommender_engine.items import EntryId
from recommender_engine.opening import DATABASE, lock_directory, release
from tests.integration.conftest import Owners
from tests.support.encoders import FixedEncoders
from tests.support.engine import Log
from tests.support.processes import OwnerProcess
from tests.support.servers import KINDS, Server, make_server, running
from tests.support.streams import KEYS, PROCESSED, Published, answered, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

one_server = pytest.mark.parametrize("server", ["embedded"], indirect=True)


def tickets(count: int) -> list[dict[str, str]]:
    return [
        {"id": f"T-{n}", "text": f"Order {n} came without its {('cable', 'box', 'lid')[n % 3]}"} for n in range(count)
    ]


class Producer(threading.Thread):
    """Sends items one by one, each under a key of its own, again and again until the server says it has it."""

    def __init__(self, url: str, items: list[dict[str, str]]) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._items = items
        self.sent = 0

    def run(self) -> None:
        for item in self._items:
            wait_until(lambda item=item: self._send(item), f"the server to take {item['id']}")
            self.sent += 1

    def _send(self, item: dict[str, str]) -> bool:
        try:
            with connect(self._url) as redis:
                redis.xadd(KEYS.commands, dict(command_fields("item.upsert", item, key=item["id"])))
        except RedisError:
            return False
        return True


def once_each(events: list[Published], count: int) -> None:
    assert {event.type for event in events} == {PROCESSED}
    assert sorted(event.data["item_id"] for event in events) == sorted(f"T-{n}" for n in range(count))


def test_the_owner_goes_on_when_the_server_was_killed(server: Server, redis: Redis, owner_process: Owners) -> None:
    count = 300
    redis.config_set("appendfsync", "always")  # else what was accepted while an fsync was under way can go with it
    owner_process(changes={"batch_items": 8}).running()
    producer = Producer(server.url, tickets(count))
    producer.start()
    for moment in (40, 120, 200):
        wait_until(lambda moment=moment: producer.sent >= moment, f"{moment} items to be sent")
        server.kill()
        server.start()
        redis.config_set("appendfsync", "always")
    producer.join(60)
    assert producer.sent == count
    wait_until(lambda: redis.xlen(KEYS.events) >= count, "every item to be answered")
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the commands to be trimmed")
    once_each(published(redis), count)


@pytest.mark.parametrize("kind", KINDS)
def test_an_owner_may_be_there_before_its_server(kind: str, tmp_path: Path) -> None:
    server = make_server(kind, tmp_path / "server")
    settings = Settings(redis_url=server.url, state_dir=tmp_path / "state")
    with OwnerProcess(settings, tmp_path / "owner.log") as owner:
        owner.start()
        owner.until(lambda: "owner.server_away" in owner.output, "the owner to miss its server")
        with running(server), connect(server.url) as redis:
            owner.wait_ready()
            client = Client(settings, redis)
            assert client.outcome(client.ingest(tickets(1)[0]))["data"]["item_id"] == "T-0"


def test_a_server_that_lost_its_data_gets_the_events_again(
    server: Server, client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process().running()
    before = answered(redis, client.ingest_many(tickets(20)))
    owner.terminate()
    redis.flushall()
    owner_process("second").running()
    position = client.ingest({"id": "T-20", "text": "one more"})
    assert position > EntryId.parse(before[-1].command)
    events = answered(redis, [position])
    assert events[:-1] == before
    once_each(events, 21)


def test_sigterm_in_a_backlog_loses_nothing(client: Client, redis: Redis, owner_process: Owners) -> None:
    count = 1200
    positions = client.ingest_many(tickets(count))
    owner = owner_process(changes={"batch_items": 32}).start()
    owner.until(lambda: redis.xlen(KEYS.events) > 0, "the first events")
    assert owner.terminate() == 0
    done = len(published(redis))
    assert 0 < done < count
    assert owner.status() is None
    assert redis.xlen(KEYS.commands) == count - done
    owner_process("second").running()
    events = answered(redis, positions)
    assert [event.command for event in events] == [str(position) for position in positions]


@one_server
def test_sigterm_without_a_server_ends_in_time(server: Server, client: Client, owner_process: Owners) -> None:
    owner = owner_process().running()
    client.outcome(client.ingest(tickets(1)[0]))
    server.kill()
    wait_until(lambda: "server_away" in owner.output, "the owner to notice")
    assert owner.terminate() == 0


@one_server
def test_a_second_owner_names_the_first(settings: Settings, client: Client, owner_process: Owners) -> None:
    first = owner_process("first").running()
    second = owner_process("second").start()
    assert second.wait() == os.EX_SOFTWARE
    assert f"{settings.partition_dir} is owned by process {first.pid}" in second.output
    assert client.outcome(client.ingest(tickets(1)[0]))["data"]["item_id"] == "T-0"


@one_server
def test_a_locked_state_directory_ends_the_worker(settings: Settings, owner_process: Owners) -> None:
    lock = lock_directory(settings.partition_dir)
    try:
        owner = owner_process().start()
        assert owner.wait() == os.EX_SOFTWARE
        assert f"is owned by process {os.getpid()}" in owner.output
        assert "Traceback" not in owner.output
    finally:
        release(lock)


@one_server
def test_a_damaged_database_ends_the_worker(settings: Settings, client: Client, owner_process: Owners) -> None:
    owner = owner_process().running()
    client.outcome(client.ingest_many(tickets(100))[-1])
    assert owner.terminate() == 0
    database = settings.partition_dir / DATABASE
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))
    owner = owner_process("second").start()
    assert owner.wait() == os.EX_SOFTWARE
    assert "restore" in owner.output
    assert "Traceback" not in owner.output


@one_server
def test_a_foreign_writer_of_the_events_stream_ends_the_worker(
    client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process().running()
    client.outcome(client.ingest(tickets(1)[0]))
    last = client.last_event()
    redis.xadd(KEYS.events, {"type": "x", "event": "{}"}, id=str(EntryId(last.ms + 10_000_000, 0)))
    client.ingest({"id": "T-1", "text": "what now"})
    assert owner.wait() == os.EX_SOFTWARE
    assert "the events stream is ahead" in owner.output


@one_server
def test_an_older_copy_of_the_state_is_refused(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, tmp_path: Path
) -> None:
    owner = owner_process().running()
    client.outcome(client.ingest(tickets(1)[0]))
    owner.terminate()
    copy = (settings.partition_dir / DATABASE).read_bytes()
    owner = owner_process("second").running()
    client.outcome(client.ingest({"id": "T-1", "text": "lost with the newer copy"}))
    owner.terminate()
    (settings.partition_dir / DATABASE).write_bytes(copy)
    owner = owner_process("third").start()
    assert owner.wait() == os.EX_SOFTWARE
    assert "it is an older copy" in owner.output
    assert "recommender restore" in owner.output


@one_server
@pytest.mark.parametrize("others", [0, 5])
def test_another_state_directory_does_not_take_a_partition_over(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, tmp_path: Path, others: int
) -> None:
    owner = owner_process("first").running()
    client.outcome(client.ingest(tickets(1)[0]))
    assert owner.terminate() == 0
    elsewhere = tmp_path / "elsewhere"
    if others:
        engine = open_recommender(settings.replaced(state_dir=elsewhere).partition_dir, FixedEncoders())
        log = Log()
        engine.process([log.upsert(f"other {n}", f"text {n}") for n in range(others)])
        engine.close()
    position = client.ingest({"id": "T-1", "text": "not for the second"})
    before = published(redis), redis.xrange(KEYS.commands), redis.get(KEYS.state)

    second = owner_process("second", changes={"state_dir": elsewhere}).start()
    assert second.wait() == os.EX_SOFTWARE
    assert "the partition belongs to another state directory" in second.output
    assert f"DEL {KEYS.state}" in second.output
    assert "Traceback" not in second.output
    assert (published(redis), redis.xrange(KEYS.commands), redis.get(KEYS.state)) == before

    owner_process("third").running()
    assert client.outcome(position)["data"]["item_id"] == "T-1"


@one_server
def test_an_owner_whose_partition_was_taken_ends(client: Client, redis: Redis, owner_process: Owners) -> None:
    owner = owner_process().running()
    client.outcome(client.ingest(tickets(1)[0]))
    redis.set(KEYS.state, "another")
    assert owner.wait() == os.EX_SOFTWARE
    assert "the partition belongs to another state directory" in owner.output
    assert redis.get(KEYS.state) == b"another"


@one_server
def test_an_empty_state_takes_over_what_was_given_up(
    client: Client, redis: Redis, owner_process: Owners, tmp_path: Path
) -> None:
    owner = owner_process("first").running()
    client.outcome(client.ingest(tickets(1)[0]))
    assert owner.terminate() == 0
    before = published(redis)
    position = client.ingest({"id": "T-1", "text": "for whoever comes"})
    redis.delete(KEYS.state)
    owner_process("second", changes={"state_dir": tmp_path / "empty"}).running()
    assert client.outcome(position)["data"]["item_id"] == "T-1"
    assert published(redis)[:-1] == before


@one_server
def test_a_partition_is_its_owners_again_after_the_server_lost_its_data(
    client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner_process().running()
    client.outcome(client.ingest(tickets(1)[0]))
    identity = redis.get(KEYS.state)
    assert identity
    redis.flushall()
    wait_until(lambda: redis.get(KEYS.state) == identity, "the owner to claim its partition")
    wait_until(lambda: redis.xlen(KEYS.events) == 1, "the event to be published again")
    assert client.outcome(client.ingest({"id": "T-1", "text": "one more"}))["data"]["item_id"] == "T-1"


@one_server
def test_a_task_from_another_broker_waits_for_the_server_of_the_stream(
    server: Server, settings: Settings, redis: Redis, owner_process: Owners, tmp_path: Path
) -> None:
    with running(make_server("redis-server", tmp_path / "broker")) as broker:
        changes = {"broker_url": broker.url, "result_backend": broker.url}
        owner = owner_process(changes={**changes, "log_level": "DEBUG"}).running()
        app, _ = make_app(settings.replaced(**changes))
        server.kill()
        result = app.send_task("recommender.ingest", [tickets(1)[0]], queue=KEYS.queue)
        owner.until(lambda: owner.output.count(f"[{result.id}] received") >= 3, "the task to be tried again and again")
        assert result.state == "RETRY"
        server.start()
        assert result.get(timeout=30)["item_id"] == "T-0"
        assert [event.data["item_id"] for event in published(redis)] == ["T-0"]
        app.close()


@one_server
def test_the_prefork_pool_is_refused(owner_process: Owners) -> None:
    owner = owner_process(pool="prefork").start()
    assert owner.wait() == 2
    assert "--recommender does not work with the prefork pool: use --pool threads (or --pool solo), " in owner.output


@one_server
def test_the_solo_pool_works(client: Client, owner_process: Owners) -> None:
    owner = owner_process(pool="solo").running()
    assert client.outcome(client.ingest(tickets(1)[0]))["data"]["band"] == "new"
    assert owner.terminate() == 0
