"""What strangers send is bounded in bytes wherever it is kept, and publishing makes itself room."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from celery_recommender import Overloaded
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.coordination.quarantine import Quarantine
from celery_recommender.broker.events.dead_letters import DeadLetters
from celery_recommender.broker.events.retention import Gap, note_gaps
from celery_recommender.broker.events.stream import Bounds, EventsStream
from celery_recommender.broker.events.stream_bytes import memory_of
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.received import size_of
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.client import Client
from celery_recommender.fleet.exchange import MOST_REPLIES, Exchange
from celery_recommender.owner.continuity.event_keeper import EventKeeper
from celery_recommender.owner.delivery.publisher import Publisher
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import bounded
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import START, EntryId, decode_entry
from tests.integration.conftest import Owners
from tests.support.engine import opened
from tests.support.servers import Embedded, running
from tests.support.streams import KEYS, PROCESSED, REJECTED, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

MIB = 1 << 20
LIMITS = Path(__file__).parents[2] / "docs/reference/limits-and-errors.md"
SMOKE = b"\x01" * 262_000  # six bytes each in JSON


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with running(Embedded(Path(tmp_path_factory.mktemp("server")))) as started:
        yield started  # type: ignore[misc]


@pytest.fixture
def redis(server: Embedded) -> Iterator[Redis]:
    with connect(server.url) as client:
        client.config_set("maxmemory", 0)
        client.flushall()
        client.config_set("stream-node-max-entries", 1)  # streams are trimmed by whole nodes
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
def lease(redis: Redis) -> Lease:
    made = Lease(redis, KEYS, "token", 300.0)
    assert made.acquire("here", 0) is None
    return made


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with closing(opened()) as made:
        yield made


def reject(engine: Recommender, count: int, data: bytes = b"\x02" * 9000) -> None:
    """Have messages rejected."""
    first = engine.position.next_at(1_700_000_000_000)
    engine.process([decode_entry(EntryId(first.ms, first.n + n), "item.upsert", data) for n in range(count)])


# -- messages that are nothing but bytes -------------------------------------------------------------------------------


def test_rejections_do_not_fill_a_small_server(redis: Redis, settings: Settings, owner_process: Owners) -> None:
    """More than thrice what filled it when each stood there thrice over, and good ones in between."""
    redis.config_set("maxmemory", 48 * MIB)
    owner = owner_process().running()
    client = Client(settings, redis)
    for n in range(40):
        redis.xadd(KEYS.commands, {"data": SMOKE})
        position = client.ingest({"id": f"T-{n}", "text": f"order {n} came without its lid"})
        assert client.outcome(position)["type"] == PROCESSED
    events = published(redis)
    assert [event.type for event in events] == [REJECTED, PROCESSED] * 40
    assert max(len(event.event) for event in events) < 12 * 1024
    data = events[0].data
    assert (data["payload_encoding"], data["payload_bytes"]) == ("base64", len(SMOKE))

    def within() -> bool:
        return int(redis.memory_usage(KEYS.dead_letters, samples=0) or 0) <= 6 * MIB

    wait_until(within, "the dead letters to take an eighth of the server at most")
    letters = DeadLetters(redis, KEYS)
    newest = next(letters.newest_first())
    assert newest.whole_payload() == SMOKE
    letters.replay(newest)
    wait_until(lambda: len(published(redis)) == 81, "what was sent again to be decided")
    used, most = memory_of(redis)
    assert used < most
    assert "server_full" not in owner.output
    assert owner.terminate() == 0


def test_a_field_that_stands_there_twice_counts_twice(redis: Redis, settings: Settings, owner_process: Owners) -> None:
    """Otherwise entries of many megabytes look small, and are read sixteen at a time."""
    log = CommandsLog(redis, KEYS)
    twice = ("data", b"x" * 300_000, "data", b'{"id":"T-1","text":"small"}')
    redis.execute_command("XADD", KEYS.commands, "*", *twice)  # type: ignore[no-untyped-call]
    ((_, fields),) = log.read(START, 1)
    assert size_of(fields) > 300_000
    ((_, again),) = log.between(START, EntryId(2**63, 0))
    assert size_of(again) == size_of(fields)
    owner = owner_process().running()
    wait_until(lambda: len(published(redis)) == 1, "it to be rejected")
    (event,) = published(redis)
    assert (event.type, event.data["code"]) == (REJECTED, "too_large")
    assert owner.terminate() == 0


# -- a server that events have filled ----------------------------------------------------------------------------------


@pytest.fixture
def events(redis: Redis, lease: Lease) -> EventsStream:
    return EventsStream(redis, KEYS, Bounds(10_000, 10_000), lease)


NOW_MS = 1_700_000_000_000


class StoppedClock(ServerClock):
    """Always the same time."""

    def now_ms(self) -> int:
        return NOW_MS


def keeper_of(engine: Recommender, redis: Redis, events: EventsStream) -> EventKeeper:
    lease = Lease(redis, KEYS, "token", 10.0)
    partition = HeldPartition(redis, KEYS, lease, StoppedClock(redis), "state")
    return EventKeeper(engine, Settings(), partition, events, Metrics("default"))


def tended(keeper: EventKeeper) -> dict[str, Any]:
    """What the status shows of the stream after a second."""
    keeper.tend()
    return dict(keeper.facts()["events"])


def fill(redis: Redis) -> None:
    """The server takes no more."""
    redis.config_set("maxmemory", memory_of(redis)[0])


def test_publishing_makes_itself_room_among_events(redis: Redis, engine: Recommender, events: EventsStream) -> None:
    publisher = Publisher(engine, events)
    reject(engine, 1000)
    assert publisher.publish()
    before = [event.id for event in published(redis)]
    fill(redis)
    reject(engine, 200)
    assert publisher.publish()
    after = [event.id for event in published(redis)]
    assert after[-200:] == [str(row.id) for row in engine.outbox.after(EntryId.parse(before[-1]), 1000)]
    assert 200 < len(after) < 1200, "the oldest have gone, and not all"
    assert set(after[:-200]) == set(before[-len(after) + 200 :])


def test_what_groups_have_acknowledged_goes_first(redis: Redis, engine: Recommender, events: EventsStream) -> None:
    publisher = Publisher(engine, events)
    reject(engine, 1600)
    assert publisher.publish()
    expected = [event.id for event in published(redis)][1400:]
    redis.xgroup_create(KEYS.events, "reader", id=published(redis)[1399].id)
    fill(redis)
    reject(engine, 100)
    assert publisher.publish()
    unread = [event.id for event in published(redis)]
    assert unread[: len(expected)] == expected, "what is read has gone, and nothing else"
    assert len(unread) == 200 + 100
    keeper = keeper_of(engine, redis, events)
    redis.config_set("maxmemory", 0)
    told = tended(keeper)
    assert [(group["name"], group["missed"]) for group in told["groups"]] == [("reader", False)]
    assert not redis.exists(KEYS.events_trimmed)


def test_where_unread_events_go_a_marker_says_so(redis: Redis, engine: Recommender, events: EventsStream) -> None:
    publisher = Publisher(engine, events)
    reject(engine, 1000)
    assert publisher.publish()
    first = published(redis)[0].id
    redis.xgroup_create(KEYS.events, "dead", id="0")
    fill(redis)
    reject(engine, 100)
    assert publisher.publish()
    left = published(redis)[0].id
    assert left != first
    redis.config_set("maxmemory", 0)
    told = tended(keeper_of(engine, redis, events))
    assert [(group["name"], group["missed"]) for group in told["groups"]] == [("dead", True)]
    marker: Any = redis.hget(KEYS.events_trimmed, "dead")
    assert json.loads(marker) == {"first": first, "up_to": left, "at_ms": NOW_MS}
    # Also to an owner that has only just started; and no longer once the group has gone on.
    keeper = keeper_of(engine, redis, events)
    assert tended(keeper)["groups"][0]["missed"]
    redis.xgroup_setid(KEYS.events, "dead", left)
    assert not tended(keeper)["groups"][0]["missed"]


def test_of_a_server_that_others_fill_no_event_goes(redis: Redis, engine: Recommender, events: EventsStream) -> None:
    publisher = Publisher(engine, events)
    reject(engine, 50)
    assert publisher.publish()
    redis.set("theirs", b"x" * 20 * MIB)
    redis.config_set("maxmemory", 12 * MIB)
    reject(engine, 1)
    assert not publisher.publish()
    assert redis.xlen(KEYS.events) == 50


def pending(redis: Redis, group: str) -> int:
    return int(redis.xpending(KEYS.events, group)["pending"])


def read_all(redis: Redis, group: str) -> None:
    """A consumer reads what there is, and acknowledges nothing."""
    while redis.xreadgroup(group, "consumer", {KEYS.events: ">"}, count=1000):
        pass


def test_a_group_that_never_acknowledges_displaces_no_event(redis: Redis, lease: Lease, engine: Recommender) -> None:
    """The server counts its notes among the bytes of the stream, and they stay when the events go."""
    events = EventsStream(redis, KEYS, Bounds(10_000, 10_000, MIB), lease)
    publisher = Publisher(engine, events)
    redis.xgroup_create(KEYS.events, "never", id="0", mkstream=True)
    for _ in range(4):
        reject(engine, 1500, b"no")
        assert publisher.publish()
        read_all(redis, "never")
        redis.xtrim(KEYS.events, maxlen=1200, approximate=False)
    assert int(redis.memory_usage(KEYS.events, samples=0) or 0) > MIB, "much of it for what pends"
    events.keep_bounds()
    assert redis.xlen(KEYS.events) == 1200, "they take less than they may"


def test_notes_on_events_that_are_gone_are_bounded(
    redis: Redis, engine: Recommender, events: EventsStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_recommender.broker.events.pending.MOST_GONE", 100)
    publisher = Publisher(engine, events)
    redis.xgroup_create(KEYS.events, "never", id="0", mkstream=True)
    reject(engine, 2000, b"no")
    assert publisher.publish()
    first = published(redis)[0].id
    read_all(redis, "never")
    redis.xtrim(KEYS.events, maxlen=300, approximate=False)
    left = published(redis)[0].id
    assert pending(redis, "never") == 2000
    keeper = keeper_of(engine, redis, events)
    told = tended(keeper)
    assert pending(redis, "never") == 300 + 100
    assert told["groups"][0]["missed"]
    marker: Any = redis.hget(KEYS.events_trimmed, "never")
    assert json.loads(marker) == {"first": first, "up_to": left, "at_ms": NOW_MS}
    assert (
        redis.xpending_range(KEYS.events, "never", left, "+", 1000)[-1]["message_id"].decode()
        == published(redis)[-1].id
    )


def test_many_groups_cost_no_more_questions(redis: Redis, engine: Recommender, events: EventsStream) -> None:
    reject(engine, 10, b"no")
    assert Publisher(engine, events).publish()
    for n in range(50):
        redis.xgroup_create(KEYS.events, f"group {n}", id="0")
        read_all(redis, f"group {n}")
    redis.config_resetstat()
    events.keep_bounds()
    asked: Any = redis.info("commandstats")
    assert sum(one["calls"] for name, one in asked.items() if name.startswith("cmdstat_x")) < 20


def test_on_a_full_server_notes_on_events_that_are_gone_make_room(
    redis: Redis, engine: Recommender, events: EventsStream
) -> None:
    publisher = Publisher(engine, events)
    redis.xgroup_create(KEYS.events, "never", id="0", mkstream=True)
    reject(engine, 6000, b"no")
    assert publisher.publish()
    first = published(redis)[0].id
    read_all(redis, "never")
    redis.xtrim(KEYS.events, maxlen=0, approximate=False)
    fill(redis)
    redis.config_set("maxmemory", memory_of(redis)[0] - 100_000)
    reject(engine, 10, b"no")
    assert publisher.publish()
    assert redis.xlen(KEYS.events) == 10
    redis.config_set("maxmemory", 0)
    tended(keeper_of(engine, redis, events))
    marker: Any = redis.hget(KEYS.events_trimmed, "never")
    assert json.loads(marker)["first"] == first, "what it has missed is told nevertheless"


# -- each key at its bound ---------------------------------------------------------------------------------------------


def too_many_commands(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    log = CommandsLog(redis, KEYS, most_waiting=10)
    for n in range(10):
        log.append([{"type": "item.upsert", "data": "{}", "key": str(n)}])
    with pytest.raises(Overloaded, match="10 is the limit"):
        log.append([{"type": "item.upsert", "data": "{}", "key": "one more"}])
    return int(redis.xlen(KEYS.commands)) == 10


def too_many_events(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    reject(engine, 150, b"no")
    Publisher(engine, EventsStream(redis, KEYS, Bounds(100, 50), lease)).publish()
    return (redis.xlen(KEYS.events), redis.xlen(KEYS.dead_letters)) == (100, 50)


def too_many_bytes(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    events = EventsStream(redis, KEYS, Bounds(10_000, 10_000, MIB, 2 * MIB), lease)
    reject(engine, 400)
    assert Publisher(engine, events).publish()
    before = redis.memory_usage(KEYS.events, samples=0), redis.memory_usage(KEYS.dead_letters, samples=0)
    assert before[0] > 3 * MIB
    assert before[1] > 6 * MIB
    events.keep_bounds()
    after = redis.memory_usage(KEYS.events, samples=0), redis.memory_usage(KEYS.dead_letters, samples=0)
    return MIB / 2 < after[0] <= MIB and MIB < after[1] <= 2 * MIB


def too_many_requests(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    log = CommandsLog(redis, KEYS)
    redis.hset(KEYS.replies, mapping={str(n): "{}" for n in range(1000)})
    with pytest.raises(InvalidCommand, match="262145 bytes"):
        log.append([], {"task": "x" * 262_145})
    while log.drop_requests(most=100):
        pass
    return int(redis.hlen(KEYS.replies)) == 100  # type: ignore[arg-type]


def too_many_replies(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    exchange = Exchange(redis, KEYS)
    redis.rpush(KEYS.embed_replies, *(b"x" for _ in range(MOST_REPLIES + 1)))
    return exchange.drop_flood() and not redis.exists(KEYS.embed_replies)


def requests_that_nobody_answers(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    exchange = Exchange(redis, KEYS)
    for n in range(5):
        exchange.put(str(n), b"texts")
    exchange.withdraw(["0", "1", "2"])
    return int(redis.hlen(KEYS.embed_requests)) == 2 and 0 < int(redis.ttl(KEYS.embed_requests)) <= 600  # type: ignore[arg-type]


def too_many_gaps(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    for n in range(150):
        note_gaps(redis, KEYS, {f"group {n}": Gap(START, START, n)})
    return int(redis.hlen(KEYS.events_trimmed)) == 100 and bool(redis.hexists(KEYS.events_trimmed, "group 149"))  # type: ignore[arg-type]


def too_long_a_reason(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    quarantine = Quarantine(redis, KEYS, lease)
    quarantine.add(EntryId(7, 0), "é" * 1000)
    return [len(reason.encode()) for reason in quarantine.read().values()] == [512]


def too_long_a_status(redis: Redis, lease: Lease, engine: Recommender) -> bool:
    said: Mapping[str, Any] = json.loads(bounded({"state": "running", "groups": ["x" * 1000] * 100}))
    return said == {"state": "running", "left_out": ["groups"]}


Fill = Callable[[Redis, Lease, Recommender], bool]

ONE_VALUE = None
"""Each write takes the place of the one before."""

TABLE: dict[str, tuple[Fill, ...] | None] = {
    "commands": (too_many_commands,),
    "events": (too_many_events, too_many_bytes),
    "dead_letters": (too_many_events, too_many_bytes),
    "events_trimmed": (too_many_gaps,),
    "replies": (too_many_requests,),
    "quarantined": (too_long_a_reason,),
    "status": (too_long_a_status,),
    "embed_replies": (too_many_replies,),
    "embed_requests": (requests_that_nobody_answers,),
    "rewritten": ONE_VALUE,  # the commands stream, for a moment: test_unbelievable_ids.py
    "state": ONE_VALUE,
    "lease": ONE_VALUE,
    "epoch": ONE_VALUE,
    "trimmed": ONE_VALUE,
    "proof": ONE_VALUE,
}
"""What a partition has in Redis, and what shows what happens at its bound."""

FILLS = sorted({fill for fills in TABLE.values() for fill in fills or ()}, key=lambda fill: fill.__name__)


def test_no_key_is_left_out() -> None:
    assert TABLE.keys() == set(KEYS._fields) - {"queue", "queue_key", "web"}, (
        "the queue is Celery's: its gate refuses; keys of the page: tests/integration/test_web_review.py"
    )
    rows = [line.split("|")[1] for line in LIMITS.read_text().splitlines() if line.startswith("|")]
    names = {name: str(getattr(KEYS, name)).split(":", 2)[2] for name in TABLE}
    assert {name for name, key in names.items() if not any(f"`{key}`" in row for row in rows)} == set()


@pytest.mark.parametrize("fill_to_its_bound", FILLS, ids=lambda fill: fill.__name__)
def test_a_key_that_is_filled_stays_at_its_bound(
    redis: Redis, lease: Lease, engine: Recommender, fill_to_its_bound: Fill
) -> None:
    assert fill_to_its_bound(redis, lease, engine)
