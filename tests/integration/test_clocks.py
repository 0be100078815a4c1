"""Clocks that are wrong, jump or stand still: the worker's, and the server's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import find_server_program
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.support.clocks import FakeClock
from tests.support.processes import OwnerProcess
from tests.support.producers import Producer, answered_items, drained, once_each, tickets
from tests.support.servers import RedisServer, running
from tests.support.streams import KEYS, REJECTED, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

HOUR_S, DAY_S = 3600, 24 * 3600
DELETED = "recommender.item.deleted.v1"

CHANGES: dict[str, Callable[[FakeClock], None]] = {
    "an hour ahead": lambda clock: clock.shift(HOUR_S),
    "an hour behind": lambda clock: clock.shift(-HOUR_S),
    "a day behind": lambda clock: clock.shift(-DAY_S),
    "frozen": lambda clock: clock.freeze(),
}


def faked(directory: Path, clock: FakeClock, *options: str) -> RedisServer:
    """A server with that clock. Debian's redis-server does not start with libfaketime, the embedded program does."""
    return RedisServer(
        directory / "server",
        ["--port", "{port}", *options],
        environment=clock.environment,
        program=str(find_server_program()),
    )


@pytest.mark.slow  # the library reads its file at every look at the clock
@pytest.mark.parametrize("change", CHANGES)
def test_the_clock_of_the_worker_does_not_matter(change: str, tmp_path: Path) -> None:
    clock = FakeClock(tmp_path / "clock")
    with running(RedisServer(tmp_path / "server")) as server, connect(server.url) as redis:
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", lease_s=2.0, batch_items=8)
        client = Client(settings, redis)
        with OwnerProcess(settings, tmp_path / "owner.log", environment=clock.environment).running() as owner:
            items = tickets(150)
            producer = Producer(server.url, items, every_s=0.003)
            producer.start()
            producer.wait_sent(50)
            CHANGES[change](clock)
            oldest_s: list[float] = []

            def all_answered() -> bool:
                oldest_s.append((owner.status() or {}).get("oldest_waiting_s", 0.0))
                return len(answered_items(published(redis))) == len(items)

            wait_until(all_answered, "every item to be answered")
            drained(redis)
            once_each(published(redis), items)
            assert max(oldest_s) < 30, "an age that no command has"

            now_ms = int(time.time() * 1000)
            late, in_time, mortal = ({"id": id_, "text": f"text of {id_}"} for id_ in ("late", "in time", "mortal"))
            client.configure("mortals", {"ttl_seconds": 2})
            positions = client.log.append(
                [
                    command_fields("item.upsert", late, expires_ms=now_ms - 5000),
                    command_fields("item.upsert", in_time, expires_ms=now_ms + 600_000),
                    command_fields("item.upsert", {**mortal, "collection": "mortals"}),
                ]
            )
            refused = client.outcome(positions[0])
            assert (refused["type"], refused["data"]["code"]) == (REJECTED, "expired")
            assert client.outcome(positions[1])["data"]["item_id"] == "in time"

            def gone() -> bool:
                return any(event.type == DELETED and event.data["item_id"] == "mortal" for event in published(redis))

            wait_until(gone, "an item whose time was up to go, on a quiet stream", 15)
            assert redis.xlen(KEYS.commands) < 5, "the clock ticks again and again"
            app, _ = make_app(settings)
            assert app.tasks["recommender.get"].delay("in time").get(timeout=30)["item_id"] == "in time"
            app.close()
            assert owner.output.count("owner.epoch_begun") == 1
            assert owner.terminate() == 0


@pytest.mark.slow
def test_the_clock_of_the_server_jumps(tmp_path: Path) -> None:
    """Ids keep rising; what is behind the last id for a while is read all the same."""
    clock = FakeClock(tmp_path / "clock")
    server = faked(tmp_path, clock)
    with running(server), connect(server.url) as redis:
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", lease_s=2.0, batch_items=8)
        client = Client(settings, redis)
        with OwnerProcess(settings, tmp_path / "owner.log").running() as owner:
            items = tickets(200)
            producer = Producer(server.url, items, every_s=0.003)
            producer.start()
            for sent, shift_s in ((40, -HOUR_S), (80, HOUR_S), (120, -DAY_S), (160, 0)):
                producer.wait_sent(sent)
                clock.shift(shift_s)
            producer.finish()
            wait_until(lambda: len(answered_items(published(redis))) == len(items), "every item to be answered")
            drained(redis)
            once_each(published(redis), items)
            events = published(redis)
            assert [event.id for event in events] == sorted((event.id for event in events), key=EntryId.parse)
            client.ingest({"id": "T-x", "text": "afterwards"})
            wait_until(lambda: "T-x" in answered_items(published(redis)), "one more item to be answered")
            assert (owner.status() or {}).get("oldest_waiting_s", 0.0) < 30
            assert owner.terminate() == 0


def test_a_server_that_lost_its_data_and_whose_clock_is_behind(tmp_path: Path) -> None:
    """The one case in which new commands get lower ids than old ones: none is passed over."""
    clock = FakeClock(tmp_path / "clock")
    server = faked(tmp_path, clock, "--appendonly", "no")
    with running(server), connect(server.url) as redis:
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", batch_items=8)
        client = Client(settings, redis)
        with OwnerProcess(settings, tmp_path / "owner.log").running() as owner:
            first, second = tickets(20), tickets(60)[20:]
            client.outcome(client.ingest_many(first)[-1])
            server.kill()
            clock.shift(-HOUR_S)
            server.start()
            client.ingest_many(second)
            wait_until(lambda: len(answered_items(published(redis))) == 60, "every item to be answered")
            drained(redis)
            once_each(published(redis), [*first, *second])
            assert "owner.stream_was_reset" in owner.output
            assert owner.terminate() == 0
