"""Ids that no clock has reached: a producer can give an entry any id, and none of them becomes a position."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from celery_recommender import Overloaded
from celery_recommender.broker.commands.id_repair import IdRepair, Renumbering, last_given
from celery_recommender.broker.commands.trusted_ids import last_trusted
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import GROUP
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import Entry, EntryId, decode_entry
from tests.support.access import GuardedServer
from tests.support.command_line import doctor_finds
from tests.support.engine import opened
from tests.support.processes import OwnerProcess
from tests.support.servers import running
from tests.support.streams import KEYS, PROCESSED, REJECTED, outcomes, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

MOST = 2**64 - 1
YEAR_MS = 365 * 24 * 3600 * 1000


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


@pytest.fixture
def settings(server: GuardedServer, tmp_path: Path) -> Settings:
    return Settings(redis_url=server.url_of("worker"), state_dir=tmp_path / "state")


@pytest.fixture
def owner(settings: Settings, tmp_path: Path) -> Iterator[OwnerProcess]:
    """Not started."""
    with OwnerProcess(settings, tmp_path / "owner.log") as process:
        yield process


def now_ms(redis: Redis) -> int:
    seconds, microseconds = redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def unbelievable(redis: Redis) -> list[EntryId]:
    year = now_ms(redis) + YEAR_MS
    return [EntryId(year, 0), EntryId(year, 7), EntryId(MOST, 0), EntryId(MOST, MOST - 1), EntryId(MOST, MOST)]


def said(id_: str) -> dict[str, str]:
    return {"data": json.dumps({"id": id_, "text": f"order {id_} came without its lid"})}


def add(producer: Redis, id_: str, at: EntryId | str = "*") -> None:
    producer.xadd(KEYS.commands, said(id_), id=str(at))  # type: ignore[arg-type]


def items_of(redis: Redis) -> list[str]:
    return [event.data["item_id"] for event in outcomes(published(redis))]


def require_believed(redis: Redis, settings: Settings) -> None:
    """Every id that is left or was given is one that a clock has reached."""
    highest = EntryId(now_ms(redis) + 60_000, MOST)
    stream = last_given(redis, KEYS.commands)
    assert stream is not None
    assert stream <= highest
    for event in published(redis):
        assert EntryId.parse(event.id) <= highest
        assert EntryId.parse(event.command) <= highest
    trimmed: Any = redis.hget(KEYS.trimmed, "position")
    assert EntryId.parse(trimmed.decode()) <= highest
    groups: Any = redis.xinfo_groups(KEYS.commands)
    assert [group["name"] for group in groups] == [GROUP.encode()]
    assert EntryId.parse(groups[0]["last-delivered-id"].decode()) <= highest
    with closing(opened(settings.partition_dir)) as engine:
        assert engine.position <= highest


def appended(producer: Redis, settings: Settings, id_: str) -> None:
    """As soon as the stream takes it."""
    client = Client(settings, producer)

    def append() -> bool:
        try:
            client.ingest({"id": id_, "text": f"order {id_} came without its lid"})
        except Overloaded:
            return False
        return True

    wait_until(append, f"{id_} to be taken")


def test_a_running_owner_decides_them_once_and_takes_none_as_a_position(
    owner: OwnerProcess, settings: Settings, producer: Redis, redis: Redis
) -> None:
    """One after the other, the highest twice, with good ones before and behind; also one that is no command."""
    owner.running()
    expected = []
    ids = unbelievable(redis)
    for number, id_ in enumerate([ids[0], ids[3], ids[4], ids[4]]):
        before, bad, behind = f"a{number}", f"b{number}", f"c{number}"
        appended(producer, settings, before)
        add(producer, bad, id_)
        appended(producer, settings, behind)
        expected += [before, bad, behind]
        wait_until(lambda behind=behind: behind in items_of(redis), f"{behind} to be decided")  # type: ignore[misc]
    producer.xadd(KEYS.commands, {"colour": "red"}, id=str(ids[2]))
    wait_until(lambda: published(redis)[-1].type == REJECTED, "what is no command to be rejected")
    assert items_of(redis)[:-1] == expected
    assert Counter(event.type for event in outcomes(published(redis))) == {PROCESSED: len(expected), REJECTED: 1}
    assert owner.output.count("owner.ids_brought_back") >= 4
    told = doctor_finds(settings, "ids of commands", "warning")
    assert "were given ids of now" in told["found"]
    assert owner.terminate() == 0
    require_believed(redis, settings)


def test_many_at_once_before_an_owner_starts_are_decided_in_their_order(
    owner: OwnerProcess, settings: Settings, producer: Redis, redis: Redis
) -> None:
    add(producer, "first")
    for number, id_ in enumerate(unbelievable(redis)):
        add(producer, f"bad {number}", id_)
        if id_.n < MOST - 1:
            add(producer, f"behind {number}")  # the server gives it the next id
    with pytest.raises(Overloaded, match="holds the highest id that there is"):
        Client(settings, producer).ingest({"id": "refused", "text": "not taken"})
    told = doctor_finds(settings, "ids of commands", "warning")
    assert "lies ahead of the server's clock" in told["found"]
    expected = [json.loads(fields[b"data"])["id"] for _, fields in redis.xrange(KEYS.commands)]
    owner.running()
    appended(producer, settings, "last")
    wait_until(lambda: "last" in items_of(redis), "the last one to be decided")
    assert items_of(redis) == [*expected, "last"]
    assert owner.terminate() == 0
    require_believed(redis, settings)


class Dying(Exception):
    """The process is gone."""


class Mortal(Lease):
    """Dies at its n-th transaction, before it or behind it."""

    left = 10**9
    behind = False

    def execute(self, *args: Any, **options: Any) -> list[Any]:
        self.left -= 1
        if self.left == 0 and not self.behind:
            raise Dying
        done = super().execute(*args, **options)
        if self.left == 0:
            raise Dying
        return done


@pytest.mark.parametrize("behind", [False, True])
def test_killed_between_any_two_steps_every_entry_is_there_once(redis: Redis, producer: Redis, *, behind: bool) -> None:
    reference = now_ms(redis)
    for number in range(20):
        add(producer, f"good {number}")
    kept = [id_ for id_, _ in redis.xrange(KEYS.commands)]
    ids = unbelievable(redis)
    for number, id_ in enumerate(ids):
        add(producer, f"bad {number}", id_)
    expected = [fields for _, fields in redis.xrange(KEYS.commands)]
    position = EntryId.parse(kept[4].decode())
    lease = Mortal(redis, KEYS, "token", 300.0)
    lease.behind = behind
    assert lease.acquire("here", 0) is None
    done = None
    for step in range(1, 100):
        lease.left = step
        last = last_trusted(reference, position)
        work = IdRepair(
            redis, KEYS, lease, Renumbering(last=last, position=position, behind=position, now_ms=reference)
        )
        try:
            done = work.carry_out({})
        except Dying:
            found = redis.xrange(KEYS.commands)
            assert [fields for _, fields in found] == expected, step
            if found[-1][0] != str(ids[-1]).encode():
                break  # it stands in its place already
            continue
        break
    assert behind or (done is not None and (done.moved, done.dropped, done.first) == (len(ids), 0, ids[0]))
    found = redis.xrange(KEYS.commands)
    assert [id_ for id_, _ in found][:20] == kept
    assert max(EntryId.parse(id_.decode()) for id_, _ in found).ms <= reference + 60_000
    assert not redis.exists(KEYS.rewritten)
    add(producer, "and on")


# -- states of earlier releases, which took such an id as their position -----------------------------------------------


def entries(*ids: EntryId) -> list[Entry]:
    return [decode_entry(id_, "item.upsert", said(f"old {number}")["data"]) for number, id_ in enumerate(ids)]


@pytest.mark.parametrize("lost", [EntryId(MOST, MOST), None], ids=["the highest", "in a year"])
def test_a_state_at_such_a_position_goes_on_from_one_that_is_believed(
    lost: EntryId | None, settings: Settings, producer: Redis, redis: Redis, tmp_path: Path
) -> None:
    now = now_ms(redis)
    lost = lost or EntryId(now + YEAR_MS, 5)
    with closing(opened(settings.partition_dir)) as engine:
        believed, other = entries(EntryId(now - 1000, 0), lost)
        engine.process([believed, replace(other, at_ms=now)])
        identity = engine.notes.identify("ab" * 16)
        assert engine.position == lost
    redis.set(KEYS.state, identity)
    noted = {"state": identity, "position": f"{now - 2000}-0", "held": "2", "counted": str(lost)}
    redis.hset(KEYS.trimmed, mapping=noted)
    add(producer, "old 0", EntryId(now - 1000, 0))
    add(producer, "old 1", lost)
    waiting = lost != EntryId(MOST, MOST)
    if waiting:
        add(producer, "waiting")
    with ExitStack() as stack:
        owner = stack.enter_context(OwnerProcess(settings, tmp_path / "owner.log")).running()
        assert "owner.position_lowered" in owner.output
        appended(producer, settings, "new")
        wait_until(lambda: "new" in items_of(redis), "what is new to be decided")
        assert items_of(redis) == ["old 0", "old 1", *["waiting"] * waiting, "new"]
        assert owner.terminate() == 0
        again = stack.enter_context(OwnerProcess(settings, tmp_path / "again.log")).running()
        assert "owner.position_lowered" not in again.output
        appended(producer, settings, "newer")
        wait_until(lambda: "newer" in items_of(redis), "what comes after a restart to be decided")
        assert again.terminate() == 0
    assert len(items_of(redis)) == 4 + waiting
    with closing(opened(settings.partition_dir)) as engine:
        assert engine.position.ms <= now_ms(redis) + 60_000
