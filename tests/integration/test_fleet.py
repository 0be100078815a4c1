"""A real owner with real embed workers: they are killed, all gone, and back, and nothing is decided differently."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.support import poison
from tests.support.command_line import command, environment
from tests.support.fleet_app import BEGUN, ENDED, SLEEP_S
from tests.support.processes import EmbedProcess, OwnerProcess
from tests.support.servers import RedisServer, make_server, running
from tests.support.streams import KEYS, PROCESSED, Published, answered, outcomes, published
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["redis-server"], indirect=True)]

TIMEOUT_S = 9.0
BATCH = 8
PARTS, PART = 5, 10 * BATCH

RUBBISH = (b"", b"\xff\xfe", b'{"body": "%", "properties": {"body_encoding": "base64"}, "headers": {}}')

Embedders = Callable[..., EmbedProcess]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.replaced(embed_workers=2, batch_items=BATCH, embed_timeout_s=TIMEOUT_S)


@pytest.fixture
def embedder(settings: Settings, tmp_path: Path) -> Iterator[Embedders]:
    """Makes embed workers, started; all of them are gone when the test is over."""
    with ExitStack() as stack:

        def make(name: str, **options: Any) -> EmbedProcess:
            options.setdefault("environment", {SLEEP_S: "0.05"})
            return stack.enter_context(EmbedProcess(settings, tmp_path / f"{name}.log", **options)).start()

        yield make


def told(owner: OwnerProcess) -> dict[str, Any]:
    """What the owner says of its fleet."""
    fleet: dict[str, Any] = (owner.status() or {}).get("fleet", {})
    return fleet


def wait_for(owner: OwnerProcess, state: str, timeout_s: float = 60) -> None:
    owner.until(lambda: told(owner).get("state") == state, f"the fleet to be {state}", timeout_s)


def tasks(worker: EmbedProcess) -> int:
    return worker.output.count(BEGUN)


def kill_at_work(worker: EmbedProcess) -> None:
    """Kill it in the middle of a batch: it has said that it has begun, and has not answered."""

    def stopped_at_work() -> bool:
        worker.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
        if worker.output.count(BEGUN) > worker.output.count(ENDED):
            return True
        worker.signal(signal.SIGCONT)
        return False

    wait_until(stopped_at_work, "it to be at work")
    worker.kill()


def append(redis: Redis, part: int) -> list[EntryId]:
    """A part of the log, under ids that do not depend on the moment."""
    ids = [EntryId(1_700_000_000_000 + 1000 * part + n, 0) for n in range(PART)]
    with redis.pipeline() as pipe:
        for n, id_ in enumerate(ids):
            text = f"ticket {n % 13} about matter {n % 29} of customer {part * n % 31}"
            pipe.xadd(KEYS.commands, {"data": json.dumps({"id": f"T-{part}-{n}", "text": text})}, id=str(id_))
        pipe.execute()
    return ids


def in_flight(redis: Redis) -> bool:
    return bool(redis.hlen(KEYS.embed_requests) > 1)


@pytest.fixture
def events_without_fleet(settings: Settings, tmp_path: Path) -> Iterator[Callable[[], list[Published]]]:
    """What an owner that is alone publishes of the same log, on a server of its own; it works meanwhile."""
    with (
        running(make_server("redis-server", tmp_path / "alone" / "server")) as server,
        connect(server.url) as redis,
        OwnerProcess(
            settings.replaced(redis_url=server.url, state_dir=tmp_path / "alone" / "state", embed_workers=0),
            tmp_path / "alone.log",
        ) as owner,
    ):
        ids = [id_ for part in range(PARTS) for id_ in append(redis, part)]
        owner.start()
        yield lambda: answered(redis, ids)


def test_workers_come_and_go_and_nothing_is_different(
    redis: Redis,
    owner_process: Any,
    embedder: Embedders,
    events_without_fleet: Callable[[], list[Published]],
) -> None:
    first, second = embedder("first", environment={SLEEP_S: "0.2"}), embedder("second")
    owner = owner_process().start()
    for worker in (first, second):
        worker.wait_ready()
    owner.wait_ready()
    wait_for(owner, "serving")
    answered(redis, append(redis, 0))
    assert min(tasks(first), tasks(second)) > 1, "both had something to do"

    redis.lpush(owner.settings.embed_queue, *RUBBISH)
    wait_until(
        lambda: (first.output + second.output).count("celery.message_refused") == len(RUBBISH), "rubbish to be dropped"
    )

    ids = append(redis, 1)
    kill_at_work(first)
    answered(redis, ids)
    assert "fleet.resent" in owner.output
    wait_for(owner, "serving")  # a busy machine may have kept the other one from answering for a while

    ids = append(redis, 2)
    wait_until(lambda: in_flight(redis), "batches in flight")
    second.kill()
    answered(redis, ids)  # alone
    wait_for(owner, "silent")
    answered(redis, append(redis, 3))
    assert not redis.exists(KEYS.embed_replies)

    # This one lives in an app of a user's own, which forks.
    third = embedder("third", app="tests.support.user_app", pool="prefork")
    wait_for(owner, "serving")
    before = third.output.count("succeeded in")
    events = answered(redis, append(redis, 4))
    assert third.output.count("succeeded in") > before

    assert owner.terminate() == 0
    alone = events_without_fleet()
    assert [event.without_timings() for event in events] == [event.without_timings() for event in alone]
    assert not redis.exists(KEYS.embed_requests, KEYS.embed_replies)


def supervised(start: Callable[[int], Any], running_: list[Any]) -> int:
    """Start again what has ended; how many have so far."""
    for place, process in enumerate(running_):
        if process.ended:
            running_[place] = start(place)
            return 1
    return 0


@pytest.mark.slow
def test_a_text_that_kills_ends_two_workers_and_is_quarantined(
    redis: Redis, client: Client, owner_process: Any, embedder: Embedders
) -> None:
    names = iter(range(1000))

    def new_worker(place: int) -> EmbedProcess:
        return embedder(f"worker{next(names)}", app="tests.support.poison_app:embed_app")

    def new_owner(place: int) -> OwnerProcess:
        owner: OwnerProcess = owner_process(
            f"owner{next(names)}", app="tests.support.poison_app", changes={"suspect_after": 2}
        )
        return owner.start()

    workers, owners = [new_worker(0), new_worker(1)], [new_owner(0)]
    owners[0].wait_ready()
    wait_for(owners[0], "serving")
    items = [{"id": f"good {n}", "text": f"neighbour number {n}"} for n in range(4 * BATCH)]
    items.insert(2 * BATCH, {"id": "bad", "text": poison.KILLS})
    client.ingest_many(items)
    dead = {"workers": 0, "owners": 0}

    def over() -> bool:
        dead["workers"] += supervised(new_worker, workers)
        dead["owners"] += supervised(new_owner, owners)
        return len(outcomes(published(redis))) >= len(items)

    wait_until(over, "everything to be decided", 120)
    by_item = {event.data["item_id"]: event for event in outcomes(published(redis))}
    bad = by_item.pop("bad")
    assert bad.data["code"] == "quarantined"
    assert {event.type for event in by_item.values()} == {PROCESSED}
    assert dead == {"workers": 2, "owners": 2}


@pytest.mark.slow
def test_server_and_owner_are_killed_and_nothing_is_different(
    server: RedisServer,
    redis: Redis,
    owner_process: Any,
    embedder: Embedders,
    events_without_fleet: Callable[[], list[Published]],
) -> None:
    first, second = embedder("first"), embedder("second")
    owner = owner_process().running()
    wait_for(owner, "serving")
    for part in range(PARTS):
        ids = append(redis, part)
        # After a restart of the server the fleet is silent for a moment, and the owner may be through by itself.
        wait_until(lambda: in_flight(redis) or not redis.xlen(KEYS.commands), "batches in flight")
        if part % 2:
            wait_until(lambda: not redis.info("persistence")["aof_pending_bio_fsync"], "all to be written")
            server.kill()
            server.start()
        else:
            owner.kill()
            owner = owner_process(f"owner{part}").running()
        answered(redis, ids)
        wait_for(owner, "serving")
    assert tasks(first) + tasks(second) > PART / BATCH
    told_with = [event.without_timings() for event in published(redis)]
    assert told_with == [event.without_timings() for event in events_without_fleet()]


@pytest.mark.slow
@pytest.mark.model
def test_two_workers_with_the_real_model(
    redis: Redis, client: Client, settings: Settings, owner_process: Any, embedder: Embedders, tmp_path: Path
) -> None:
    """One of them lives in an app of its user's own, the other is ``recommender embed-worker``."""
    real = "tests.support.real_model_app"
    changes = {"embed_timeout_s": 60.0, "batch_items": 32}
    first = embedder("first", app=f"{real}:embed_app", environment={})
    log = tmp_path / "second.log"
    with log.open("wb") as output, ExitStack() as stack:
        second = stack.enter_context(
            subprocess.Popen(
                command("embed-worker"), env=environment(settings.replaced(**changes)), stdout=output, stderr=output
            )
        )
        stack.callback(second.kill)
        owner = owner_process(app=real, changes=changes).running()
        wait_for(owner, "serving", 120)
        items = [{"id": str(n), "text": f"customer {n} cannot log in since {n % 40} days, {n % 9}"} for n in range(800)]
        positions = client.ingest_many(items)
        wait_until(
            lambda: tasks(first) > 1 and log.read_text().count("Task recommender.embed") > 1 and in_flight(redis),
            "both to work",
            60,
        )
        first.kill()
        events = outcomes(answered(redis, positions, 170))
        second.terminate()
        assert second.wait(30) == 0
    assert [event.command for event in events] == [str(position) for position in positions]
    assert {event.type for event in events} == {PROCESSED}
    assert {event.data["model"].partition("@")[0] for event in events} == {"all-MiniLM-L6-v2"}
    assert owner.terminate() == 0
