"""More comes than can be taken: producers are refused, plainly; what was accepted is decided."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from celery_recommender import Overloaded
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners
from tests.support.failing_model import failure
from tests.support.slow_model import TEXTS_PER_S
from tests.support.streams import KEYS, PROCESSED, REJECTED, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

FAILING_MODEL_APP = "tests.support.failing_model_app"

embedded = pytest.mark.parametrize("server", ["embedded"], indirect=True)


def items(count: int, text: str = "order {} came without its lid") -> list[dict[str, str]]:
    return [{"id": f"T-{n}", "text": text.format(n)} for n in range(count)]


def calls(redis: Redis, command: str) -> int:
    found: Any = redis.info("commandstats")
    return int(found.get(f"cmdstat_{command}", {"calls": 0})["calls"])


# -- so many commands, and no more -------------------------------------------------------------------------------------


def test_a_producer_is_refused_at_the_limit(settings: Settings, redis: Redis) -> None:
    client = Client(settings.replaced(most_waiting=5), redis)
    for item in items(5):
        client.ingest(item)
    with pytest.raises(Overloaded, match="5 commands wait already, and 5 is the limit") as refused:
        client.ingest({"id": "T-5", "text": "one too many"})
    assert (refused.value.depth, refused.value.limit) == (5, 5)
    assert refused.value.retry_after_s > 0
    assert redis.xlen(KEYS.commands) == 5
    redis.xtrim(KEYS.commands, maxlen=4, approximate=False)
    client.ingest({"id": "T-5", "text": "now there is room"})


def test_a_new_producer_asks_first(settings: Settings, redis: Redis) -> None:
    changed = settings.replaced(most_waiting=3)
    Client(changed, redis).ingest_many(items(7))
    with pytest.raises(Overloaded, match="7 commands wait already"):
        Client(changed, redis).ingest({"id": "T-8", "text": "the first of this process"})


def test_the_limit_costs_no_round_trip(settings: Settings, redis: Redis) -> None:
    """How much waits comes back with the append itself; only the first one asks beforehand."""
    client = Client(settings, redis)
    before = calls(redis, "xlen")
    for item in items(20):
        client.ingest(item)
    assert calls(redis, "xlen") - before == calls(redis, "exec") + 1 == 21


@pytest.mark.parametrize("said", ["by the owner", "with the last trim"])
def test_what_is_kept_for_a_backup_does_not_wait(settings: Settings, redis: Redis, said: str) -> None:
    """Also while no owner runs; a backup may be an hour away, and the limit is not there for what is decided."""
    Client(settings, redis).ingest_many(items(7))
    redis.hset(KEYS.trimmed, "held", "5" if said == "with the last trim" else "0")
    if said == "by the owner":
        redis.set(KEYS.status, '{"held": 5}')
    client = Client(settings.replaced(most_waiting=3), redis)
    client.ingest({"id": "T-7", "text": "the third that waits"})
    with pytest.raises(Overloaded, match="3 commands wait already"):
        client.ingest({"id": "T-8", "text": "one too many"})


@pytest.mark.parametrize("noted", ["", None])
def test_uncounted_items_wait(settings: Settings, redis: Redis, noted: str | None) -> None:
    Client(settings, redis).ingest_many(items(3))
    if noted is not None:
        redis.hset(KEYS.trimmed, "held", noted)
    with pytest.raises(Overloaded, match="3 commands wait already"):
        Client(settings.replaced(most_waiting=3), redis).ingest({"id": "T-3", "text": "one too many"})


def test_no_limit(settings: Settings, redis: Redis) -> None:
    client = Client(settings.replaced(most_waiting=0), redis)
    client.ingest_many(items(20))
    client.ingest({"id": "T-20", "text": "and on"})
    assert redis.xlen(KEYS.commands) == 21


@embedded
def test_a_task_is_refused_where_it_is_called(settings: Settings, redis: Redis) -> None:
    app, _ = make_app(settings.replaced(most_waiting=1))
    app.tasks["recommender.ingest"].delay(items(1)[0])
    with pytest.raises(Overloaded, match="1 commands wait already") as refused:
        app.tasks["recommender.ingest"].delay({"id": "T-1", "text": "one too many"})
    assert (refused.value.depth, refused.value.limit) == (1, 1)
    assert redis.xlen(KEYS.commands) == 1
    assert redis.hlen(KEYS.replies) == 1
    app.close()


@embedded
def test_a_failing_model_stops_decisions_and_not_the_intake(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners
) -> None:
    """Commands are accepted up to the limit; tasks by name wait in the broker, and are tried again."""
    owner = owner_process(app=FAILING_MODEL_APP, changes={"most_waiting": 20, "log_level": "DEBUG"}).running()
    failure(settings).touch()
    accepted = client.ingest_many(items(20))
    owner.until(lambda: "owner.encoding_failed" in owner.output, "the model to fail")
    app, _ = make_app(settings)
    by_name = app.send_task("recommender.ingest", [{"id": "T-20", "text": "by name"}], queue=KEYS.queue)
    owner.until(lambda: owner.output.count(f"[{by_name.id}] received") >= 2, "the task to be tried again")
    with pytest.raises(Overloaded, match="20 commands wait already"):
        Client(settings.replaced(most_waiting=20), redis).ingest({"id": "T-21", "text": "refused"})
    # Who asks is answered meanwhile.
    assert app.tasks["recommender.stats"].delay().get(timeout=10)["items"] == 0
    failure(settings).unlink()
    assert by_name.get(timeout=30)["item_id"] == "T-20"
    events = published(redis)
    assert [event.command for event in events[:20]] == [str(position) for position in accepted]
    assert [event.data["item_id"] for event in events] == [f"T-{n}" for n in range(21)]
    app.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@embedded
def test_a_hundredfold_for_ten_minutes(
    settings: Settings, redis: Redis, owner_process: Owners, record_property: Callable[[str, object], None]
) -> None:
    """Ten items a second can be decided and a thousand are offered: all others are refused."""
    owner = owner_process(app="tests.support.slow_model_app", changes={"most_waiting": 100}).running()
    client = Client(settings.replaced(most_waiting=100), redis)
    accepted: list[EntryId] = []
    offered, deepest, waits = 0, 0, set()
    before: tuple[int, int] | None = None  # once what grows at first has grown: memory of the owner, and of the server
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < 600:
        while offered > elapsed * 100 * TEXTS_PER_S:
            time.sleep(0.001)
            elapsed = time.monotonic() - started
        offered += 1
        try:
            accepted.append(client.ingest({"id": f"T-{offered}", "text": f"order {offered} came without its lid"}))
        except Overloaded as refused:
            deepest = max(deepest, refused.depth or 0)
            waits.add(refused.retry_after_s)
        if before is None and elapsed > 120:
            before = peak_memory_bytes(owner.pid), used_memory_bytes(redis)
    assert before is not None
    grown = [
        after - once
        for after, once in zip((peak_memory_bytes(owner.pid), used_memory_bytes(redis)), before, strict=True)
    ]
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "what was accepted to be decided", 60)
    wait_until(lambda: redis.xlen(KEYS.events) == len(accepted), "its events", 10)
    record_property("offered, accepted", (offered, len(accepted)))
    record_property("deepest, retry after s", (deepest, sorted(waits)))
    record_property("grown, owner and server, bytes", grown)
    assert [event.command for event in published(redis)] == [str(position) for position in accepted]
    assert offered > 100 * len(accepted) * 0.7
    assert deepest <= 101
    assert max(grown) < 96 << 20  # the page cache of SQLite alone grows to 64 MiB
    assert owner.terminate() == 0


# -- the server's memory -----------------------------------------------------------------------------------------------


def test_at_maxmemory_producers_are_refused_and_the_owner_goes_on(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner = owner_process(app=FAILING_MODEL_APP, changes={"lease_s": 3.0}).running()
    failure(settings).touch()
    positions = client.ingest_many(items(30))
    owner.until(lambda: "owner.encoding_failed" in owner.output, "the model to fail")
    redis.config_set("maxmemory", 1)
    more: list[EntryId] = []
    with pytest.raises(Overloaded, match="maxmemory") as refused:
        more += client.ingest_many(items(1))
    assert (refused.value.depth, more) == (None, [])
    assert refused.value.retry_after_s > 0
    failure(settings).unlink()
    # Everything is decided and committed, though nothing can be published, and the owner stays what it is.
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the backlog to be committed")
    owner.until(lambda: owner.output.count("publisher.server_full") >= 4, "the owner to try for longer than its lease")
    assert published(redis) == []
    assert read_status(redis, KEYS) is not None
    assert "upkeep_failed" not in owner.output
    assert "lease" not in owner.output
    redis.config_set("maxmemory", 0)
    wait_until(lambda: redis.xlen(KEYS.events) == 30, "the events to be published")
    events = published(redis)
    assert {event.type for event in events} == {PROCESSED}
    assert [event.command for event in events] == [str(position) for position in positions]
    assert client.outcome(client.ingest({"id": "T-30", "text": "room again"}))["data"]["item_id"] == "T-30"
    assert owner.terminate() == 0


# -- the owner's memory ------------------------------------------------------------------------------------------------


@embedded
def test_messages_of_any_size_are_read_in_bounded_memory(client: Client, redis: Redis, owner_process: Owners) -> None:
    """Strangers send what the server lets them; read all at once, these would take eight hundred megabytes."""
    owner = owner_process().running()
    client.outcome(client.ingest({"id": "T-0", "text": "warm"}))
    before = peak_memory_bytes(owner.pid)
    blob = b'{"id": "L", "text": "' + b"x" * (8 << 20) + b'"}'
    owner.signal(signal.SIGSTOP)
    for _ in range(50):
        redis.xadd(KEYS.commands, {"data": blob})
    last = client.ingest({"id": "T-1", "text": "behind all of them"})
    owner.signal(signal.SIGCONT)
    assert client.outcome(last, timeout_s=60)["data"]["item_id"] == "T-1"
    events = published(redis)
    assert [event.type for event in events] == [PROCESSED, *[REJECTED] * 50, PROCESSED]
    assert {event.data["payload_bytes"] for event in events[1:-1]} == {len(blob)}
    assert peak_memory_bytes(owner.pid) - before < 300 << 20


@embedded
def test_a_backlog_is_worked_off_in_constant_memory(client: Client, redis: Redis, owner_process: Owners) -> None:
    """The same with a million is `make soak ARGS=--backlog`."""
    texts = [f"order {n} came without its lid" for n in range(50)]
    count = 5000
    client.ingest_many({"id": f"T-{n % 50}", "text": texts[n % 50]} for n in range(count))
    owner = owner_process().running()
    started = time.monotonic()
    wait_until(lambda: redis.xlen(KEYS.events) > 0, "the first event")
    assert time.monotonic() - started < 5
    before = peak_memory_bytes(owner.pid)
    owner.until(lambda: redis.xlen(KEYS.commands) < count - 2000, "some of it to be decided", 60)
    assert peak_memory_bytes(owner.pid) - before < 64 << 20


def used_memory_bytes(redis: Redis) -> int:
    found: Any = redis.info("memory")
    return int(found["used_memory"])


def peak_memory_bytes(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024
