"""Commands that somebody drops from the stream before they are decided: no right of Redis keeps a producer from it.

``XADD`` takes ``MAXLEN`` and ``MINID``. What was dropped cannot be had again; it is told, once and by number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from celery_recommender.broker.commands.trimming import TakenAway, Trimming
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.connections import connect
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.support.access import GuardedServer
from tests.support.command_line import doctor_finds
from tests.support.processes import OwnerProcess
from tests.support.servers import running
from tests.support.streams import KEYS, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

TOLD = re.compile(r"owner\.commands_taken_away commands=(\d+) decided=(\d+)")
MOST = 2**64 - 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    guarded = GuardedServer(tmp_path_factory.mktemp("server"), "valkey-server")
    with running(guarded):
        yield guarded


@pytest.fixture
def redis(server: GuardedServer) -> Iterator[Redis]:
    """Whoever looks at everything; nothing is left of the test before."""
    with connect(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def producer(server: GuardedServer, redis: Redis) -> Iterator[Redis]:
    with connect(server.url_of("producer")) as client:
        yield client


def add(producer: Redis, *ids: str, **options: int) -> None:
    for id_ in ids:
        data = json.dumps({"id": id_, "text": f"order {id_} came without its lid"})
        producer.xadd(KEYS.commands, {"data": data}, approximate=False, **options)  # type: ignore[arg-type]


def decided(redis: Redis, id_: str) -> bool:
    return any(event.data.get("item_id") == id_ for event in published(redis))


def told(owner: OwnerProcess) -> list[tuple[int, int]]:
    return [(int(commands), int(kept)) for commands, kept in TOLD.findall(owner.output)]


def test_commands_that_were_dropped_while_no_owner_ran_are_reported_once(
    server: GuardedServer, redis: Redis, producer: Redis, tmp_path: Path
) -> None:
    """Before the first owner, and between two; an id that ends the stream, sent behind it, hides nothing."""
    settings = Settings(redis_url=server.url_of("worker"), state_dir=tmp_path / "state")
    add(producer, *(f"lost {number}" for number in range(10)))
    add(producer, "greedy", maxlen=1)
    with ExitStack() as stack:
        first = stack.enter_context(OwnerProcess(settings, tmp_path / "first.log")).running()
        first.until(lambda: bool(told(first)), "the loss to be told")
        wait_until(lambda: decided(redis, "greedy"), "what is left to be decided")
        finding = doctor_finds(settings, "commands taken away", "warning")
        assert finding["found"].startswith("10 commands ")
        assert first.terminate() == 0
        assert told(first) == [(10, 0)]

        add(producer, *(f"gone {number}" for number in range(7)))
        add(producer, "greedier", maxlen=1)
        producer.xadd(KEYS.commands, {"data": "{}"}, id=f"{MOST}-{MOST}")
        second = stack.enter_context(OwnerProcess(settings, tmp_path / "second.log")).running()
        second.until(lambda: bool(told(second)), "the loss to be told")
        wait_until(lambda: decided(redis, "greedier"), "what is left to be decided")
        assert second.terminate() == 0
        assert told(second) == [(7, 0)]

        add(producer, *(f"good {number}" for number in range(5)))
        third = stack.enter_context(OwnerProcess(settings, tmp_path / "third.log")).running()
        wait_until(lambda: decided(redis, "good 4"), "the others to be decided")
        assert third.terminate() == 0
        assert told(third) == []


def test_dropped_events_are_counted_at_any_time_and_by_any_dropper(redis: Redis) -> None:
    lease = Lease(redis, KEYS, "token", 60)
    assert lease.acquire("here", 0) is None

    def entry() -> EntryId:
        return EntryId.parse(redis.xadd(KEYS.commands, {"data": "{}"}).decode())  # type: ignore[union-attr]

    redis.xgroup_create(KEYS.commands, "recommender", mkstream=True)
    trimming = Trimming(redis, KEYS, lease)
    assert not trimming.begin("ours", EntryId(0, 0))
    ids = [entry() for _ in range(6)]
    trimming.committed(4)
    assert trimming.trim("ours", ids[3], ids[5], keep_from=ids[1])  # two are kept for a backup, two wait
    assert (trimming.taken_away(), trimming.held) == (TakenAway(0, 0), 2)
    redis.xtrim(KEYS.commands, maxlen=1, approximate=False)  # one of those that waited is gone, and what was kept
    assert trimming.trim("ours", ids[3], ids[5], keep_from=ids[1])
    assert (trimming.taken_away(), trimming.held) == (TakenAway(3, 2), 0)
    assert trimming.taken_away() == TakenAway(0, 0)

    again = Trimming(redis, KEYS, lease)  # of the next process, which decides what came meanwhile
    assert again.begin("ours", ids[3])
    behind = [entry() for _ in range(3)]
    again.committed(4)
    assert again.trim("ours", behind[-1], behind[-1], keep_from=None)
    assert again.taken_away() == TakenAway(0, 0)
    entry()
    redis.xtrim(KEYS.commands, maxlen=0, approximate=False)
    last = Trimming(redis, KEYS, lease)
    assert last.begin("ours", behind[-1])
    assert last.trim("ours", behind[-1], behind[-1], keep_from=None)
    assert last.taken_away() == TakenAway(1, 0)
