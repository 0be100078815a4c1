"""One owner at a time: the lease with its fencing epoch, and who comes next."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.trimming import Trimming
from celery_recommender.broker.coordination.lease import Lease, LeaseLost, directory_of
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.events.stream import Bounds, EventsStream
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import GROUP
from celery_recommender.client import Client
from celery_recommender.owner.leadership.lease_keeper import LeaseKeeper
from celery_recommender.owner.leadership.succession import Succession
from celery_recommender.owner.telemetry.status import Status, StatusPublisher
from celery_recommender.settings import Settings
from recommender_engine import open_recommender
from recommender_engine.errors import StateLocked
from recommender_engine.items import START, EntryId
from recommender_engine.opening import LOCK
from recommender_engine.store import OutboxRow
from tests.integration.conftest import Owners
from tests.support.encoders import FixedEncoders
from tests.support.engine import Log
from tests.support.processes import OwnerProcess
from tests.support.servers import Server
from tests.support.streams import KEYS, Published, answered, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

one_server = pytest.mark.parametrize("server", ["embedded"], indirect=True)

LONG_S = 600.0
Claims = Callable[..., Lease]


@pytest.fixture
def claim(server: Server) -> Iterator[Claims]:
    """Makes claims on the partition, each with a connection of its own."""
    with ExitStack() as stack:

        def make(token: str, duration_s: float = LONG_S) -> Lease:
            return Lease(stack.enter_context(connect(server.url)), KEYS, token, duration_s)

        yield make


def row(n: int) -> OutboxRow:
    return OutboxRow(EntryId(1000 + n, 0), "x", f'{{"n": {n}}}')


def ticket(n: int) -> dict[str, str]:
    return {"id": f"T-{n}", "text": f"Order {n} came without its {('cable', 'box', 'lid')[n % 3]}"}


# -- the lease ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True], ids=["with room", "full"])
def test_only_the_stream_that_was_read_is_trimmed(claim: Claims, redis: Redis, full: bool) -> None:
    lease = claim("one")
    assert lease.acquire("here", 0) is None
    log, trimming = CommandsLog(redis, KEYS), Trimming(redis, KEYS, lease)
    log.keep_above(START)
    *_, read = log.append([{"type": "item.upsert", "data": "{}"}] * 3)
    kept, _ = redis.xrange(KEYS.commands, count=1)[0]
    copy = redis.dump(KEYS.commands)
    redis.delete(KEYS.commands)
    redis.xadd(KEYS.commands, {"type": "item.upsert", "data": "{}"}, id="5-0")
    redis.xgroup_create(KEYS.commands, GROUP, id="0")
    redis.config_set("maxmemory", int(full))
    assert trimming.trim("ours", read, read, None) is False
    assert redis.xlen(KEYS.commands) == 1
    redis.config_set("maxmemory", 0)
    redis.restore(KEYS.commands, 0, copy, replace=True)
    redis.config_set("maxmemory", int(full))
    assert trimming.trim("ours", read, read, EntryId.parse(kept.decode())) is True
    assert redis.xlen(KEYS.commands) == 2, "the others are in no backup yet"
    assert trimming.trim("ours", read, read, None) is True
    redis.config_set("maxmemory", 0)
    assert redis.xlen(KEYS.commands) == 0


def test_epochs_rise(claim: Claims) -> None:
    first, second = claim("one"), claim("two")
    assert first.acquire("here", 0) is None
    assert first.epoch == 1
    first.release()
    assert second.acquire("there", 0) is None
    assert second.epoch == 2
    second.release()
    assert claim("three").acquire("there", 41) is None, "the state has seen more than the server remembers"
    assert claim("four").acquire("there", 0) is None
    assert second.acquire("there", 0) is None
    assert second.epoch == 44


def test_a_lease_is_held_against_other_places_until_it_expires(claim: Claims) -> None:
    first, second = claim("one", 1.0), claim("two")
    assert first.acquire("here", 0) is None
    holder = second.acquire("there", 0)
    assert holder is not None
    assert (holder.token, holder.directory, holder.pid) == ("one", "here", os.getpid())
    wait_until(lambda: second.acquire("there", 0) is None, "the lease to expire")
    with pytest.raises(LeaseLost, match=f"owned by process {os.getpid()} on"):
        first.renew()
    with pytest.raises(LeaseLost, match="owned by"):
        first.require()


def test_a_lease_of_the_same_directory_is_taken_over_at_once(claim: Claims) -> None:
    first, second = claim("one"), claim("two")
    assert first.acquire("here", 0) is None
    assert second.acquire("here", 0) is None
    with pytest.raises(LeaseLost, match="owned by"):
        first.execute(lambda pipe: pipe.set("written", "late"))


def test_an_owner_without_the_lease_writes_nothing(claim: Claims, redis: Redis) -> None:
    first, second = claim("one"), claim("two")
    assert first.acquire("here", 0) is None
    events, log = EventsStream(redis, KEYS, Bounds(1000, 1000), first), CommandsLog(redis, KEYS)
    log.append([{"type": "item.upsert", "data": "{}"}])
    events.publish([row(1)], START)
    assert second.acquire("here", 0) is None
    with pytest.raises(LeaseLost, match="owned by"):
        events.publish([row(2)], row(1).id)
    with pytest.raises(LeaseLost, match="owned by"):
        Trimming(redis, KEYS, first).trim("ours", EntryId(2**62, 0), START, keep_from=None)
    assert (redis.xlen(KEYS.events), redis.xlen(KEYS.commands)) == (1, 1)
    EventsStream(redis, KEYS, Bounds(1000, 1000), second).publish([row(2)], row(1).id)
    assert redis.xlen(KEYS.events) == 2


def test_a_successor_in_the_middle_of_a_transaction_undoes_it(claim: Claims, redis: Redis) -> None:
    first, second = claim("one"), claim("two")
    assert first.acquire("here", 0) is None

    def overtaken(pipe: Redis) -> None:
        second.acquire("here", 0)
        pipe.set("written", "late")

    with pytest.raises(LeaseLost, match="owned by"):
        first.execute(overtaken)
    assert redis.get("written") is None


def test_a_renewal_does_not_disturb_a_transaction(claim: Claims, redis: Redis) -> None:
    lease = claim("one")
    assert lease.acquire("here", 0) is None
    called = []

    def renewed(pipe: Redis) -> None:
        lease.renew()
        called.append(pipe.set("written", "once"))

    lease.execute(renewed)
    assert len(called) == 1


def test_a_server_that_lost_its_data_gets_it_again(claim: Claims, redis: Redis) -> None:
    first, second = claim("one"), claim("two")
    assert first.acquire("here", 7) is None
    redis.flushall()
    EventsStream(redis, KEYS, Bounds(1000, 1000), first).publish([row(1)], START)
    holder = second.acquire("there", 0)
    assert holder is not None
    assert holder.token == "one"
    redis.flushall()
    assert second.acquire("there", 0) is None, "whoever comes first after that"
    with pytest.raises(LeaseLost, match="owned by"):
        first.renew()


def test_a_lease_is_asked_for_only_when_it_may_have_ended(claim: Claims, server: Server) -> None:
    lease, short = claim("one"), claim("two", 1.0)
    assert lease.acquire("here", 0) is None
    assert short.acquire("here", 0) is None
    server.kill()
    lease.require()
    wait_until(lambda: not _holds(short), "the renewal to be too long ago")


def _holds(lease: Lease) -> bool:
    try:
        lease.require()
    except RedisError:
        return False
    return True


def test_a_keeper_renews_until_it_is_lost(claim: Claims, redis: Redis) -> None:
    first, second = claim("one", 1.0), claim("two")
    assert first.acquire("here", 0) is None
    keeper = LeaseKeeper(first)
    keeper.start()
    lasting = [redis.pttl(KEYS.lease)]

    def renewed() -> bool:
        lasting.append(redis.pttl(KEYS.lease))
        return lasting[-1] > lasting[-2]

    wait_until(renewed, "a renewal")
    keeper.check()
    assert second.acquire("here", 0) is None

    def lost() -> bool:
        try:
            keeper.check()
        except LeaseLost:
            return True
        return False

    wait_until(lost, "the keeper to notice")
    keeper.stop()


def test_a_copy_is_another_place(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    shutil.copy2(tmp_path / "one", tmp_path / "two")
    one, two = directory_of((tmp_path / "one").stat()), directory_of((tmp_path / "two").stat())
    assert one != two
    assert one == directory_of((tmp_path / "one").stat())


# -- the commit --------------------------------------------------------------------------------------------------------


def test_a_batch_is_not_committed_without_the_lease(claim: Claims) -> None:
    first, second = claim("one", 1.0), claim("two")
    assert first.acquire("here", 0) is None
    engine = open_recommender(None, FixedEncoders(), before_commit=first.require)
    log = Log()
    engine.process([log.upsert("a", "one text")])
    before = engine.position, engine.stats()
    assert second.acquire("here", 0) is None
    late = log.upsert("b", "another text")

    def refused() -> bool:
        nonlocal before
        try:
            engine.process([late])
        except LeaseLost:
            return True
        before = engine.position, engine.stats()
        return False

    wait_until(refused, "the last renewal to be too long ago")
    assert (engine.position, engine.stats()) == before
    engine.close()


# -- the status --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["itself", "its successor"])
def test_a_worker_that_falls_silent_withdraws_its_own_status(server: Server, redis: Redis, by: str) -> None:
    status = Status(60.0)
    _, fields = status.health()
    said = fields if by == "itself" else {**fields, "pid": fields["pid"] + 1}
    redis.set(KEYS.status, json.dumps(said))
    announcer = StatusPublisher(status, connect(server.url), KEYS)
    announcer._stopping.set()
    announcer.run()
    assert read_status(redis, KEYS) == (None if by == "itself" else said)


# -- succession --------------------------------------------------------------------------------------------------------


def test_without_standby_a_renewed_lease_is_an_error(claim: Claims, tmp_path: Path) -> None:
    first, second = claim("one"), claim("two", 1.0)
    assert first.acquire("here", 0) is None
    (tmp_path / LOCK).touch()
    engine = open_recommender(None, FixedEncoders())
    with pytest.raises(StateLocked, match=f"owned by process {os.getpid()} on .*, with a copy of this state"):
        Succession(tmp_path, second, False, threading.Event()).acquire(engine)
    engine.close()


def standing_by(owner: OwnerProcess) -> None:
    owner.until(lambda: "owner.standing_by" in owner.output, "the second to stand by")


def once_each(events: list[Published], count: int) -> None:
    assert sorted(event.data["item_id"] for event in events) == sorted(f"T-{n}" for n in range(count))


def takeovers(client: Client, redis: Redis, owner_process: Owners, times: int) -> list[float]:
    """Seconds from the death of each owner to the first event of the standby that follows it."""
    owner = owner_process("owner-0").running()
    seconds, sent = [], 0
    for n in range(1, times + 1):
        standby = owner_process(f"owner-{n}", changes={"standby": True}).start()
        standing_by(standby)
        client.ingest_many([ticket(sent + k) for k in range(30)])
        sent += 30
        wait_until(lambda sent=sent: redis.xlen(KEYS.events) >= sent - 25, "some of them to be answered")
        owner.kill()
        died_s = time.monotonic()
        position = client.ingest(ticket(sent))
        sent += 1
        answered(redis, [position])
        seconds.append(time.monotonic() - died_s)
        standby.wait_ready()
        owner = standby
    assert owner.terminate() == 0
    once_each(published(redis), sent)
    assert redis.xlen(KEYS.commands) == 0
    return seconds


def test_a_standby_takes_over(client: Client, redis: Redis, owner_process: Owners) -> None:
    takeovers(client, redis, owner_process, 1)


@one_server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_takeovers_in_a_row(
    client: Client, redis: Redis, owner_process: Owners, request: pytest.FixtureRequest
) -> None:
    seconds = sorted(takeovers(client, redis, owner_process, 50))
    request.node.user_properties.append(("takeover_s", {"median": seconds[25], "longest": seconds[-1]}))


@one_server
def test_a_standby_ends_when_stopped(client: Client, owner_process: Owners) -> None:
    owner_process("first").running()
    standby = owner_process("second", changes={"standby": True}).start()
    standing_by(standby)
    assert standby.terminate() == 0
    assert client.outcome(client.ingest(ticket(0)))["data"]["item_id"] == "T-0"


@one_server
def test_an_owner_that_slept_has_no_second_voice(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners, tmp_path: Path
) -> None:
    """Its state directory is copied while it sleeps, and the copy takes over: the worst that can be done to it."""
    first = owner_process("first", changes={"lease_s": 2.0, "batch_items": 4}).running()
    before = client.ingest_many([ticket(n) for n in range(200)])
    wait_until(lambda: redis.xlen(KEYS.events) >= 20, "the first events")
    first.signal(signal.SIGSTOP)
    copy = settings.replaced(state_dir=tmp_path / "copy", lease_s=2.0, standby=True)
    shutil.copytree(settings.partition_dir, copy.partition_dir)
    second = owner_process("second", changes={"state_dir": copy.state_dir, "lease_s": 2.0, "standby": True}).start()
    second.wait_ready()
    first.signal(signal.SIGCONT)
    assert first.wait() == os.EX_SOFTWARE
    assert "the partition is owned by process" in first.output
    answered(redis, [*before, client.ingest(ticket(200))])
    once_each(published(redis), 201)
    assert redis.get(KEYS.epoch) is not None


@one_server
def test_a_sleep_without_a_successor_does_no_harm(client: Client, redis: Redis, owner_process: Owners) -> None:
    owner = owner_process(changes={"lease_s": 1.0}).running()
    owner.signal(signal.SIGSTOP)
    wait_until(lambda: redis.get(KEYS.lease) is None, "the lease to expire")
    owner.signal(signal.SIGCONT)
    assert client.outcome(client.ingest(ticket(0)))["data"]["item_id"] == "T-0"
    once_each(published(redis), 1)
