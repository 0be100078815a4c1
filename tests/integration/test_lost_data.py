"""The server loses what it holds: restarted without persistence, emptied, a stream deleted or set back, a file cut off.

Safety: nothing is decided or published twice, the state keeps everything that was committed, and no command that stands
in the stream is passed over. Progress: what a producer sends again is answered. The producer keeps its items until it
has seen the answer, so `settle` tells how many the server lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError
from redis import Redis

from celery_recommender.broker.commands.continuity import Continuity
from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import GROUP
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners
from tests.support.processes import OwnerProcess
from tests.support.producers import Producer, answered_items, drained, once_each, settle, tickets
from tests.support.servers import RedisServer, Server, running
from tests.support.streams import KEYS, answered, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

one_server = pytest.mark.parametrize("server", ["embedded"], indirect=True)
redis_server = pytest.mark.parametrize("server", ["redis-server"], indirect=True)

COUNT = 300
Record = Callable[[str, object], None]


@pytest.fixture
def volatile(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that keeps nothing on disk."""
    with running(RedisServer(tmp_path / "volatile", ["--port", "{port}", "--appendonly", "no"])) as server:
        assert isinstance(server, RedisServer)
        yield server


# -- everything is gone ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_restarts_without_persistence(volatile: RedisServer, tmp_path: Path, record_property: Record) -> None:
    settings = Settings(redis_url=volatile.url, state_dir=tmp_path / "state", batch_items=8)
    with OwnerProcess(settings, tmp_path / "owner.log").running() as owner, connect(volatile.url) as redis:
        items = tickets(COUNT)
        producer = Producer(volatile.url, items, every_s=0.003)
        producer.start()
        for moment in (60, 140, 220):
            producer.wait_sent(moment)
            volatile.kill()
            volatile.start()
        producer.finish()
        record_property("lost", settle(redis, items))
        once_each(published(redis), items)
        assert "owner.stream_was_reset" in owner.output


def under_load(server: Server, items: Sequence[dict[str, str]], moments: Iterable[int]) -> Iterator[int]:
    """While the items are being sent, each moment at which so many of them have been; at the end all of them have."""
    producer = Producer(server.url, list(items), every_s=0.003)
    producer.start()
    for moment in moments:
        producer.wait_sent(moment)
        yield moment
    producer.finish()


@one_server
def test_emptied_under_load(server: Server, redis: Redis, owner_process: Owners, record_property: Record) -> None:
    owner = owner_process(changes={"batch_items": 8}).running()
    items = tickets(COUNT)
    for _ in under_load(server, items, (60, 100, 140, 180, 220)):
        redis.flushall()
    record_property("lost", settle(redis, items))
    once_each(published(redis), items)
    wait_until(lambda: redis.get(KEYS.lease) and redis.get(KEYS.epoch) and redis.get(KEYS.state), "the keys to be back")
    assert owner.status() is not None


@one_server
def test_callers_that_wait_for_a_result(
    settings: Settings, redis: Redis, owner_process: Owners, client: Client
) -> None:
    app, _ = make_app(settings)
    ingest = app.tasks["recommender.ingest"]
    first, second = tickets(2)
    lost = ingest.delay(first, key="first")
    redis.flushall()
    owner_process().running()
    with pytest.raises(CeleryTimeoutError, match="no result of"):
        lost.get(timeout=2)
    assert ingest.delay(first, key="first").get(timeout=30)["item_id"] == "T-0"
    redis.flushall()
    assert ingest.delay(first, key="first").get(timeout=30)["item_id"] == "T-0", "the state knows the outcome still"
    assert ingest.delay(second).get(timeout=30)["item_id"] == "T-1"
    wait_until(lambda: len(published(redis)) == 2, "the events to be published again")
    once_each(published(redis), [first, second])
    lost.forget()
    app.close()


# -- parts are gone ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("key", ["state", "lease", "epoch", "status", "group", "all but the streams"])
@one_server
def test_a_key_of_the_owner_is_deleted_under_load(
    key: str, server: Server, redis: Redis, owner_process: Owners
) -> None:
    owner_process(changes={"batch_items": 8}).running()
    items = tickets(100)
    for _ in under_load(server, items, (20, 40, 60)):
        match key:
            case "group":
                redis.xgroup_destroy(KEYS.commands, GROUP)
            case "all but the streams":
                redis.delete(KEYS.state, KEYS.lease, KEYS.epoch, KEYS.status, KEYS.replies)
            case _:
                redis.delete(getattr(KEYS, key))
    assert settle(redis, items) == 0
    once_each(published(redis), items)
    wait_until(
        lambda: [g["name"] for g in redis.xinfo_groups(KEYS.commands)] == [GROUP.encode()], "the group to be back"
    )


@pytest.mark.slow
def test_the_commands_stream_is_deleted_under_load(
    server: Server, redis: Redis, owner_process: Owners, record_property: Record
) -> None:
    owner_process(changes={"batch_items": 8}).running()
    items = tickets(COUNT)
    for _ in under_load(server, items, (60, 100, 140, 180, 220)):
        redis.delete(KEYS.commands)
    record_property("lost", settle(redis, items))
    once_each(published(redis), items)


def set_back(redis: Redis, start_ms: int, count: int, *, keys: bool = True) -> list[dict[str, str]]:
    """The commands stream begins again with low ids."""
    items = tickets(count, "L")
    redis.delete(KEYS.commands)
    with redis.pipeline() as pipe:
        for n, item in enumerate(items):
            fields = dict(command_fields("item.upsert", item, key=item["id"]))
            if not keys:
                del fields["key"]
            pipe.xadd(KEYS.commands, fields, id=f"{start_ms + n}-1")
        pipe.execute()
    return items


@pytest.mark.parametrize(
    ("keys", "start"),
    [
        pytest.param(True, "long ago", marks=pytest.mark.slow),
        (False, "long ago"),
        pytest.param(True, "just before", marks=pytest.mark.slow),
        pytest.param(False, "just before", marks=pytest.mark.slow),
    ],
)
@one_server
def test_no_command_below_the_position_is_passed_over(
    keys: bool, start: str, client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process().running()
    first = tickets(5)
    position = client.ingest_many(first)[-1]
    answered(redis, [position])
    items = set_back(redis, 5 if start == "long ago" else position.ms - 60, 50, keys=keys)
    wait_until(lambda: len(answered_items(published(redis))) == 55, "the commands below the position to be answered")
    drained(redis)
    once_each(published(redis), [*first, *items])
    assert answered_items(published(redis))[5:] == [item["id"] for item in items]
    assert "owner.stream_was_reset" in owner.output
    assert "owner.commands_recovered" in owner.output
    assert client.ingest({"id": "T-9", "text": "later"}) > position


@pytest.mark.slow
@pytest.mark.parametrize("start", ["long ago", "just before"])
@one_server
def test_an_owner_that_starts_finds_a_stream_that_was_lost_and_has_overtaken_it(
    start: str, client: Client, redis: Redis, owner_process: Owners
) -> None:
    """What is older than the stored events could have been decided in their time: that is told, not guessed."""
    owner = owner_process("first").running()
    first = tickets(5)
    position = client.ingest_many(first)[-1]
    answered(redis, [position])
    assert owner.terminate() == 0
    items = set_back(redis, 5 if start == "long ago" else position.ms - 300, 250, keys=False)
    usual = {"id": "L-250", "text": "and one as usual"}
    redis.xadd(KEYS.commands, dict(command_fields("item.upsert", usual)))
    second = owner_process("second").running()
    drained(redis)
    told = "owner.commands_too_old" if start == "long ago" else "owner.commands_recovered"
    assert f"{told} commands=250" in second.output
    once_each(published(redis), [*first, *(items if start == "just before" else []), usual])


@one_server
def test_what_is_decided_and_not_trimmed_yet_is_not_decided_again(
    client: Client, redis: Redis, owner_process: Owners
) -> None:
    """The group is deleted, and what was trimmed comes back from an older copy of the stream."""
    owner = owner_process("first").running()
    items = tickets(40)
    positions = client.ingest_many(items[:20])
    for item in items[20:]:
        fields = dict(command_fields("item.upsert", item))
        del fields["key"]
        positions.append(EntryId.parse(redis.xadd(KEYS.commands, fields).decode()))
    copy = redis.xrange(KEYS.commands)
    answered(redis, positions)
    assert owner.terminate() == 0
    assert len(copy) > 0
    redis.delete(KEYS.commands)
    for id_, fields in copy[:-1]:
        redis.xadd(KEYS.commands, fields, id=id_)
    redis.xgroup_create(KEYS.commands, GROUP, id="0")
    second = owner_process("second").running()
    drained(redis)
    assert "set_back" in second.output
    once_each(published(redis), items)
    assert client.ingest({"id": "T-99", "text": "later"}) > positions[-1]


@one_server
def test_producers_that_append_while_the_stream_is_made_again(
    server: Server, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, read = CommandsLog(redis, KEYS), EntryId(1000, 0)
    create = redis.xgroup_create

    def overtaken(*args: Any, **options: Any) -> None:
        create(*args, **options)
        redis.xadd(KEYS.commands, {"type": "item.upsert", "data": "{}"}, id="2000-0")

    monkeypatch.setattr(redis, "xgroup_create", overtaken)
    assert log.keep_above(read) is Continuity.ANEW
    assert log.keep_above(read) is Continuity.WHOLE
    assert [id_ for id_, _ in log.read(read, 10)] == [EntryId(2000, 0)]


# -- the events stream -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", [pytest.param("away", marks=pytest.mark.slow), "makes its group again"])
@one_server
def test_the_events_stream_is_deleted_under_load(
    consumer: str, server: Server, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process(changes={"batch_items": 8}).running()
    items = tickets(COUNT)
    for _ in under_load(server, items, (60, 100, 140, 180, 220)):
        with redis.pipeline() as pipe:
            pipe.delete(KEYS.events)
            if consumer != "away":
                pipe.xgroup_create(KEYS.events, "shop", id="0", mkstream=True)
            pipe.execute()
    assert settle(redis, items) == 0
    once_each(published(redis), items)
    assert "publisher.stream_was_reset" in owner.output
    assert [event.id for event in published(redis)] == sorted(
        (event.id for event in published(redis)), key=EntryId.parse
    )


@pytest.mark.slow
@one_server
def test_readers_of_the_events_stream_do_not_disturb_publishing(
    server: Server, redis: Redis, owner_process: Owners
) -> None:
    """What an owner publishes is watched over by the server; reading and acknowledging must not look like a change."""
    owner_process(changes={"batch_items": 1}).running()
    redis.xgroup_create(KEYS.events, "shop", id="0", mkstream=True)
    items = tickets(100)
    producer = Producer(server.url, items, every_s=0.003)
    producer.start()
    read: list[str] = []

    def everything() -> bool:
        reply = redis.xreadgroup("shop", "one", {KEYS.events: ">"}, count=1, block=100)
        for _, entries in reply:
            for id_, fields in entries:
                read.append(json.loads(fields[b"event"])["data"]["item_id"])
                redis.xack(KEYS.events, "shop", id_)
        return len(read) >= 100

    wait_until(everything, "every event to be read", 60)
    producer.finish()
    assert read == [item["id"] for item in items]


# -- a damaged file ----------------------------------------------------------------------------------------------------


def append_only_file(directory: Path) -> Path:
    return max((directory / "server" / "appendonlydir").glob("*.incr.aof"))


@redis_server
def test_an_append_only_file_without_its_tail(
    server: Server, redis: Redis, client: Client, owner_process: Owners, tmp_path: Path, record_property: Record
) -> None:
    """The server comes back with less than the owner has read; it may even have an earlier clock."""
    owner = owner_process(changes={"batch_items": 8}).running()
    items = tickets(COUNT)
    for _ in under_load(server, items, (100, 200)):
        server.kill()
        file = append_only_file(tmp_path)
        with file.open("r+b") as aof:
            aof.truncate(file.stat().st_size - 20_000)
        server.start()
    record_property("lost", settle(redis, items))
    once_each(published(redis), items)
    assert owner.status() is not None


@pytest.mark.slow
@redis_server
def test_an_append_only_file_damaged_in_the_middle_is_refused(
    server: Server, redis: Redis, client: Client, owner_process: Owners, tmp_path: Path
) -> None:
    """By Redis, which says what to do; the owner waits meanwhile, and loses nothing of its own."""
    owner = owner_process().running()
    before = answered(redis, client.ingest_many(tickets(50)))
    server.kill()
    file = append_only_file(tmp_path)
    whole = file.read_bytes()
    place = whole.index(b"XADD", len(whole) // 2) - 4  # the length of a word
    file.write_bytes(whole[:place] + b"$x" + whole[place + 2 :])
    with pytest.raises(RuntimeError, match="Bad file format reading the append only file"):
        server.start()
    owner.until(lambda: "server_away" in owner.output, "the owner to miss its server")
    file.write_bytes(whole[:place].rpartition(b"*")[0])  # what redis-check-aof --fix leaves, or less
    server.start()
    position = client.ingest(tickets(51)[50])
    assert position > EntryId.parse(before[-1].command)
    assert answered(redis, [position])[:-1] == before
