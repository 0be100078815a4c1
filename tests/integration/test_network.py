"""The network between owner, producers and server: cut, stalled, slow, reset in the middle of a reply, half-open.

Safety: the events stream holds one outcome for each item, in order, whatever was sent twice or arrived late. Progress:
when the network is whole again the backlog drains, without anybody's help.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.redis.connections import connect
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.support.namespaces import namespace
from tests.support.processes import OwnerProcess
from tests.support.producers import Producer, answered_items, drained, once_each, tickets
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer, running
from tests.support.streams import KEYS, PROCESSED, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

COUNT = 200
Record = Callable[[str, object], None]


class Spoilt:
    """A server, and an owner and a producer that reach it through a proxy."""

    def __init__(self, redis: Redis, proxy: Proxy, owner: OwnerProcess) -> None:
        self.redis = redis
        self.proxy = proxy
        self.owner = owner
        self.items = tickets(COUNT)

    def load(self, *faults: Callable[[], None]) -> float:
        """Send items, with a fault now and then; seconds from the end of the last one to the end of the backlog."""
        producer = Producer(self.proxy.url, self.items, every_s=0.003)
        producer.start()
        for n, fault in enumerate(faults, 1):
            producer.wait_sent(n * COUNT // (len(faults) + 1))
            fault()
            self.proxy.heal()
        began_s = time.monotonic()
        producer.finish()
        wait_until(lambda: len(answered_items(published(self.redis))) >= COUNT, "every item to be answered", 90)
        drained(self.redis)
        took_s = time.monotonic() - began_s
        events = published(self.redis)
        once_each(events, self.items)
        assert answered_items(events) == [item["id"] for item in self.items]
        assert [event.id for event in events] == sorted((event.id for event in events), key=EntryId.parse)
        return took_s


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[Spoilt]:
    with running(RedisServer(tmp_path / "server")) as server, connect(server.url) as redis:
        assert isinstance(server, RedisServer)
        with Proxy(server.port) as proxy:
            settings = Settings(redis_url=proxy.url, state_dir=tmp_path / "state", batch_items=8, lease_s=3.0)
            with OwnerProcess(settings, tmp_path / "owner.log").running() as owner:
                yield Spoilt(redis, proxy, owner)
                assert owner.terminate() == 0


def lasting(seconds: float, change: Callable[[], None]) -> Callable[[], None]:
    """A fault that lasts: the only thing to wait for is time."""

    def fault() -> None:
        change()
        threading.Event().wait(seconds)

    return fault


def weather(proxy: Proxy, **changes: object) -> Callable[[], None]:
    def change() -> None:
        for name, value in changes.items():
            setattr(proxy.weather, name, value)

    return change


# -- cut and stalled ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocked", [("to_server", "to_client"), ("to_client",)], ids="-".join)
def test_cut_for_a_second(spoilt: Spoilt, blocked: tuple[str, ...]) -> None:
    change = weather(spoilt.proxy, **dict.fromkeys(blocked, False))
    spoilt.load(lasting(1.0, change), lasting(1.0, change))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [10.0, 60.0])
@pytest.mark.parametrize("blocked", [("to_server", "to_client"), ("to_server",), ("to_client",)], ids="-".join)
def test_cut_for_longer(spoilt: Spoilt, blocked: tuple[str, ...], seconds: float, record_property: Record) -> None:
    change = weather(spoilt.proxy, **dict.fromkeys(blocked, False))
    took_s = spoilt.load(lasting(seconds, change))
    record_property("drained_after_s", round(took_s, 1))
    assert took_s < 30


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_that_accepts_and_never_answers(spoilt: Spoilt, record_property: Record) -> None:
    """Connections are reset, and the new ones lead to nobody."""

    def nobody() -> None:
        spoilt.proxy.weather.accepting = False
        spoilt.proxy.reset()
        wait_until(lambda: "server_away" in spoilt.owner.output, "the owner to give up waiting", 60)

    took_s = spoilt.load(nobody, nobody)
    record_property("drained_after_s", round(took_s, 1))
    assert took_s < 30


# -- reset -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reset_again_and_again(spoilt: Spoilt) -> None:
    spoilt.load(*[spoilt.proxy.reset] * 20)


def test_reset_in_the_middle_of_replies(spoilt: Spoilt) -> None:
    def soon(after: int) -> Callable[[], None]:
        def fault() -> None:
            before = spoilt.proxy.weather.resets
            spoilt.proxy.weather.reset_after = after
            wait_until(lambda: spoilt.proxy.weather.resets > before, "a reset in the middle of a reply")

        return fault

    spoilt.load(*[soon(after) for after in (1, 7, 50, 123, 200, 333, 500, 1000, 1500, 2000)])


def test_what_was_carried_out_and_not_confirmed_happens_once(spoilt: Spoilt) -> None:
    """The reply is lost after the server has done what it was asked: appending, publishing, trimming, renewing."""

    def unconfirmed(word: bytes) -> Callable[[], None]:
        def fault() -> None:
            before = spoilt.proxy.weather.swallowed
            spoilt.proxy.weather.swallow = word
            wait_until(lambda: spoilt.proxy.weather.swallowed > before, f"a reply to {word!r} to be lost")

        return fault

    append, publish, trim, renew = b"item.upsert", PROCESSED.encode(), b"XTRIM", KEYS.lease.encode()
    spoilt.load(*[unconfirmed(word) for word in (append, publish, trim, renew) for _ in range(3)])


def test_a_connection_that_breaks_at_every_transaction_does_not_end_the_owner(spoilt: Spoilt) -> None:
    """For the library it looks like a key that keeps changing."""

    def always() -> None:
        before = spoilt.proxy.weather.swallowed
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            spoilt.proxy.weather.swallow = b"MULTI\r\n"
            threading.Event().wait(0.001)
        assert spoilt.proxy.weather.swallowed >= before + 5

    spoilt.load(always)


# -- slow --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_slow(spoilt: Spoilt) -> None:
    byte, late = weather(spoilt.proxy, bytes_per_s=1), weather(spoilt.proxy, delay_s=0.05)
    spoilt.load(lasting(1.5, byte), lasting(1.5, late), lasting(1.5, weather(spoilt.proxy, bytes_per_s=2000)))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_byte_a_second_for_a_minute(spoilt: Spoilt, record_property: Record) -> None:
    took_s = spoilt.load(lasting(60.0, weather(spoilt.proxy, bytes_per_s=1)))
    record_property("drained_after_s", round(took_s, 1))
    assert took_s < 30


# -- half-open ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_half_open_connections_are_noticed(tmp_path: Path, record_property: Record) -> None:
    """The network is down while the server forgets every connection; nobody tells the other side.

    The owner's threads, Celery's consumer and its result backend must each notice by themselves within 30 seconds.
    """
    with namespace() as net:
        socket_path = tmp_path / "r.sock"
        server = RedisServer(
            tmp_path / "server",
            ["--port", "{port}", "--unixsocket", str(socket_path)],
            f"unix://{socket_path}",
            prefix=net.prefix,
        )
        with running(server), connect(server.url) as redis:
            inside = Settings(redis_url=f"redis://127.0.0.1:{server.port}/0", state_dir=tmp_path / "state")
            direct = Settings(redis_url=server.url, state_dir=inside.state_dir)
            app, _ = make_app(direct)
            client = Client(direct, redis)
            with OwnerProcess(inside, tmp_path / "owner.log", prefix=net.prefix).start() as owner:
                owner.until(lambda: "owner.ready" in owner.output, "the owner to be ready", 60)
                client.outcome(client.ingest(tickets(1)[0]))
                assert app.send_task("recommender.get", ["T-0"], queue=KEYS.queue).get(timeout=30)
                net.down()
                before = net.established(server.port)
                net.forget(server.port)
                assert net.established(server.port) == 0 < before
                net.up()
                began_s = time.monotonic()
                position = client.ingest(tickets(2)[1])
                result = app.send_task("recommender.get", ["T-0"], queue=KEYS.queue)
                assert client.outcome(position, timeout_s=30)["data"]["item_id"] == "T-1"
                record_property("owner_s", round(time.monotonic() - began_s, 1))
                assert result.get(timeout=30)["item_id"] == "T-0"
                record_property("celery_s", round(time.monotonic() - began_s, 1))
                once_each(published(redis), tickets(2))
                app.close()
                assert owner.terminate() == 0


# -- Celery's own connections ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["cut", "accepting and never answering"])
def test_celery_comes_back(spoilt: Spoilt, how: str, record_property: Record) -> None:
    """Its consumer and its result backend, which go through libraries that are not ours."""
    direct = Settings(redis_url=f"redis://127.0.0.1:{spoilt.proxy.target}/0")
    app, _ = make_app(direct)

    def ask(n: int) -> list[object]:
        item = {"id": f"C-{n}", "text": f"Question number {n}"}
        results = [app.send_task("recommender.ingest", [item], queue=KEYS.queue) for _ in range(1)]
        return [result.get(timeout=40) for result in results]

    ask(0)
    change = spoilt.proxy.cut if how == "cut" else weather(spoilt.proxy, accepting=False)
    change()
    if how != "cut":
        spoilt.proxy.reset()
    threading.Event().wait(20.0)
    spoilt.proxy.heal()
    began_s = time.monotonic()
    ask(1)
    record_property("first_result_s", round(time.monotonic() - began_s, 1))
    for n in range(2, 20):
        ask(n)
    assert sorted(answered_items(published(spoilt.redis))) == sorted(f"C-{n}" for n in range(20))
    app.close()


def test_a_caller_that_waits_through_a_broken_network(spoilt: Spoilt, tmp_path: Path) -> None:
    settings = Settings(redis_url=spoilt.proxy.url)
    app, _ = make_app(settings)
    ingest = app.tasks["recommender.ingest"]
    first = ingest.delay(tickets(1)[0])
    assert first.get(timeout=30)["item_id"] == "T-0"
    second = ingest.delay(tickets(2)[1])
    spoilt.proxy.reset()
    assert second.get(timeout=30)["item_id"] == "T-1"
    with connect(spoilt.proxy.url) as redis:
        client = Client(settings, redis)
        spoilt.proxy.weather.swallow = b"item.upsert"
        position = client.log.append([command_fields("item.upsert", tickets(3)[2], key="third")])[0]
        assert spoilt.proxy.weather.swallowed == 1, "the append was not sent twice"
        drained(spoilt.redis)
        (event,) = app.tasks["recommender.outcomes"].delay(["third"]).get(timeout=30)
        assert event["data"]["command"]["id"] < str(position), "what it returned is the place of the repeat"
        once_each(published(spoilt.redis), tickets(3))
    app.close()
