"""Two partitions with an owner each, and collections that move between them while producers go on."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner
from redis import Redis

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.redis.keys import ROUTES, PartitionKeys
from celery_recommender.broker.routing.partitions import AppendedCommand
from celery_recommender.celery.worker.app import make_app
from celery_recommender.cli import main
from celery_recommender.cli.operate.mover import MoveFailed, Mover
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.processes import OwnerProcess
from tests.support.servers import Embedded, running
from tests.support.streams import PROCESSED, REJECTED, Published, outcomes, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

PARTITIONS = ("a", "b")
STEPS = ("sealed", "begun", "page", "arrived", "released")
MOST_WAITING = 100
"""Commands behind which senders wait: a slow machine falls no further behind them."""


class Installation:
    """A server and two owners."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.directory = directory
        self.owners = {name: OwnerProcess(self.of(name), directory / f"{name}.log") for name in PARTITIONS}

    def of(self, partition: str = "a") -> Settings:
        return Settings(
            redis_url=self.url,
            state_dir=self.directory / partition,
            partition=partition,
            partitions=PARTITIONS,
            routes=("c=a",),
            lease_s=2,
        )

    def start(self) -> None:
        for owner in self.owners.values():
            owner.start()
        for owner in self.owners.values():
            owner.wait_ready()

    def kill(self) -> None:
        for owner in self.owners.values():
            owner.kill()

    def events(self, redis: Redis) -> dict[str, list[Published]]:
        return {name: published(redis, PartitionKeys.of(name)) for name in PARTITIONS}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    directory = tmp_path_factory.mktemp("p")
    with running(Embedded(directory / "s")) as server:
        installation = Installation(server.url, directory)
        try:
            installation.start()
            yield installation
        finally:
            installation.kill()


@pytest.fixture
def client(installed: Installation) -> Iterator[Client]:
    client = Client(installed.of())
    yield client
    client.close()


@pytest.fixture
def environment(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    for name, value in installed.of().to_environment().items():
        monkeypatch.setenv(name, value)
    return installed


def move(installed: Installation, client: Client, collection: str, target: str) -> dict[str, Any]:
    mover = Mover(installed.of(), client.redis, collection, target)
    try:
        return mover.run()
    finally:
        mover.close()


def recommender(*args: str) -> Any:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


# -- routing -----------------------------------------------------------------------------------------------------------


def test_each_collection_goes_to_its_partition_and_events_of_all_are_read(client: Client) -> None:
    after = client.last_events()
    names = [f"tenant {n}" for n in range(8)]
    items = [{"id": str(n), "collection": names[n % 8], "text": f"Order {n} came late"} for n in range(40)]
    positions = client.ingest_many(items, block=7)
    assert {position.partition for position in positions if isinstance(position, AppendedCommand)} == set(PARTITIONS)
    seen: dict[str, list[str]] = {}
    for event in client.events(after):
        seen.setdefault(event["data"]["collection"], []).append(event["data"]["item_id"])
        if sum(map(len, seen.values())) == len(items):
            break
    assert seen == {name: [str(n) for n in range(place, 40, 8)] for place, name in enumerate(names)}
    for position, item in zip(positions, items, strict=True):
        assert client.outcome(position)["data"]["item_id"] == item["id"]


def test_a_stale_producer_is_forwarded_and_reported(installed: Installation, client: Client) -> None:
    """One that has no list sends everything to ``a``: by stream, and by Celery, where somebody waits."""
    name = next(f"n{n}" for n in range(100) if client.partitions.routing.partition_of(f"n{n}") == "b")
    fields = command_fields("item.upsert", {"id": "x", "collection": name, "text": "the lid is missing"})
    (position,) = client.partitions.of("a").log.append([fields])
    assert client.outcome(AppendedCommand.at(position, "a"))["source"] == "/recommender/b"

    stale: Celery = make_app(Settings(redis_url=installed.url, partition="a"))[0]
    ingest, search = stale.tasks["recommender.ingest"], stale.tasks["recommender.search"]
    verdict = ingest.delay({"id": "y", "collection": name, "text": "the lid is missing"}).get(timeout=30)
    assert verdict["duplicate_of"] == "x"
    hits = search.delay("the lid is missing", collection=name).get(timeout=30)
    assert [hit["id"] for hit in hits] == ["x"]
    many = stale.tasks["recommender.ingest_many"]
    told = many.delay([{"id": f"m{n}", "collection": name, "text": f"Order {n}"} for n in range(3)]).get(timeout=30)
    assert [one["item_id"] for one in told] == ["m0", "m1", "m2"]
    stale.close()
    assert client.redis.hlen(PartitionKeys.of("a").replies) == 0
    wait_until(lambda: client.redis.hlen(PartitionKeys.of("b").replies) == 0, "the replies to be carried")


def test_tasks_go_to_the_owner_of_their_collection(installed: Installation) -> None:
    app = make_app(installed.of("b"))[0]
    verdict = (
        app.tasks["recommender.ingest"].delay({"id": "t", "collection": "c", "text": "hello there"}).get(timeout=30)
    )
    assert verdict["item_id"] == "t"
    assert app.tasks["recommender.get"].delay("t", collection="c").get(timeout=30)["text"] == "hello there"
    app.close()


# -- moves -------------------------------------------------------------------------------------------------------------


class Sabotaged(Mover):
    """Has somebody killed right after it has said a step.

    Args:
        step: which.
        victim: an owner, which is started again at once; ``None``: the mover itself.
    """

    def __init__(self, step: str, victim: OwnerProcess | None, *args: Any) -> None:
        super().__init__(*args)
        self._at: str | None = step
        self._victim = victim

    def _append(self, partition: str, type_: str, said: dict[str, Any]) -> AppendedCommand:
        placed = super()._append(partition, type_, said)
        if said.get("step", "page") == self._at:
            self._at = None
            if self._victim is None:
                raise KeyboardInterrupt
            self._victim.kill()
            self._victim.start()
        return placed


class Sender(threading.Thread):
    """Sends items of the collection ``c`` until told to stop: where they belong, or always to ``a``."""

    def __init__(self, settings: Settings, name: str, *, stale: bool) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._prefix = name
        self._stale = stale
        self._stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        client = Client(self._settings)
        while not self._stopping.wait(0.05):
            if sum(client.redis.xlen(PartitionKeys.of(name).commands) for name in PARTITIONS) >= MOST_WAITING:
                continue
            id_ = f"{self._prefix}{self.sent}"
            words = " ".join(re.findall("....", hashlib.sha256(id_.encode()).hexdigest()))  # like no other text
            item = {"id": id_, "collection": "c", "text": words}
            if self._stale:
                client.partitions.of("a").log.append([command_fields("item.upsert", item, key=item["id"])])
            else:
                client.ingest(item, key=item["id"])
            self.sent += 1
        client.close()

    def finish(self) -> list[str]:
        self._stopping.set()
        self.join(60)
        return [f"{self._prefix}{n}" for n in range(self.sent)]


EVERY = [(step, victim) for victim in ("source", "target", "mover") for step in STEPS]
SOME = [("page", "target"), ("arrived", "mover"), ("released", "source")]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(SOME, id="some", marks=pytest.mark.timeout(400)),
        pytest.param(EVERY, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_moves_under_load_with_kills_lose_nothing_and_decide_nothing_twice(
    installed: Installation, client: Client, kills: list[tuple[str, str]]
) -> None:
    before = client.last_events()
    senders = [
        Sender(installed.of(), f"fresh {len(kills)} ", stale=False),
        Sender(installed.of(), f"stale {len(kills)} ", stale=True),
    ]
    for sender in senders:
        sender.start()
    wait_until(lambda: all(sender.sent > 20 for sender in senders), "some items to be sent")
    for step, whom in kills:
        source = client.partitions.routing.asked_now("c")
        target = "b" if source == "a" else "a"
        victim = {"source": installed.owners[source], "target": installed.owners[target], "mover": None}[whom]
        mover = Sabotaged(step, victim, installed.of(), client.redis, "c", target)
        if victim is None:
            with pytest.raises(KeyboardInterrupt):
                mover.run()
            mover.close()
            mover = Mover(installed.of(), client.redis, "c", target)
        assert mover.run()["target"] == target, (step, whom)
        mover.close()
        if victim is not None:
            victim.wait_ready()
    wanted = [id_ for sender in senders for id_ in sender.finish()]
    told: Counter[str] = Counter()

    def all_told() -> bool:
        told.clear()
        for name, events in installed.events(client.redis).items():
            told.update(
                event.data["item_id"]
                for event in outcomes(events)
                if event.type == PROCESSED and event.data["collection"] == "c" and event.id > str(before[name])
            )
        return all(told[id_] for id_ in wanted)

    wait_until(all_told, "every item to be decided", 60)
    assert {id_: told[id_] for id_ in wanted if told[id_] != 1} == {}
    rejected = [
        event.data for events in installed.events(client.redis).values() for event in events if event.type == REJECTED
    ]
    assert [one["code"] for one in rejected] == []
    where = client.partitions.routing.asked_now("c")
    app = make_app(installed.of())[0]
    found = app.tasks["recommender.get"].delay(wanted[-1000:], collection="c").get(timeout=60)
    assert None not in found, where
    app.close()


def test_the_command_line_moves_and_says_where_things_are(environment: Installation, client: Client) -> None:
    position = client.ingest({"id": "1", "collection": "shop", "text": "a kettle"}, key="first")
    client.outcome(position)
    source = str(position.partition)
    target = "b" if source == "a" else "a"
    plan = recommender("move", "shop", "--to", target, "--dry-run", "--json")
    assert (plan["source"], plan["items"]) == (source, 1)
    assert not client.redis.hexists(ROUTES, "shop")
    assert recommender("move", "shop", "--to", target, "--json")["items"] == 1
    assert client.redis.hget(ROUTES, "shop") == target.encode()
    where = recommender("move", "shop", "--status", "--json")
    assert {name: one["place"] for name, one in where.items()} == {source: "left", target: "here"}
    assert recommender("move", "shop", "--to", target, "--json")["items"] == 1, "said again"
    assert [one["partition"] for one in recommender("stats", "--json")] == list(PARTITIONS)
    assert recommender("get", "1", "--collection", "shop", "--json")["text"] == "a kettle"
    given = recommender("feedback", "export", "--collection", "shop", "--json")
    assert given == []
    assert CliRunner().invoke(main, ["move", "nowhere", "--to", "a"]).exit_code == 1
    assert CliRunner().invoke(main, ["move", "shop", "--to", "z"]).exit_code == 2
    assert CliRunner().invoke(main, ["move", "shop", "--cancel"]).exit_code == 1


def test_a_cancelled_move_goes_on_at_the_source(installed: Installation, client: Client) -> None:
    position = client.ingest({"id": "1", "collection": "undone", "text": "a kettle"})
    client.outcome(position)
    source = str(position.partition)
    target = "b" if source == "a" else "a"
    mover = Sabotaged("page", None, installed.of(), client.redis, "undone", target)
    with pytest.raises(KeyboardInterrupt):
        mover.run()
    waiting = client.ingest({"id": "2", "collection": "undone", "text": "the same kettle"})
    assert mover.cancel() == {"collection": "undone", "source": source, "target": target, "cancelled": True}
    mover.close()
    assert client.outcome(waiting)["source"] == f"/recommender/{source}"
    with pytest.raises(MoveFailed, match="not on its way"):
        mover.cancel()
    assert move(installed, client, "undone", target)["items"] == 2


def test_an_overview_and_pages_of_answers_join_the_partitions(installed: Installation, client: Client) -> None:
    names = ("seen-1", "seen-2", "seen-3", "seen-4", "seen-5")
    for name in names:
        client.ingest_many([{"id": id_, "collection": name, "text": f"{id_} of {name}"} for id_ in ("x", "y")])
    given = [client.feedback("x", "different", "y", collection=name, by=name) for name in names for _ in "12"]
    for position in given:
        client.outcome(position)
    counted = {one["name"]: one for one in client.overview()["collections"] if one["name"] in names}
    assert list(counted) == list(names)
    assert {(one["items"], one["answers"]) for one in counted.values()} == {(2, 1)}
    assert {name: one["partition"] for name, one in counted.items()} == {
        name: client.partitions.routing.partition_of(name) for name in names
    }
    assert {one["partition"] for one in counted.values()} == set(PARTITIONS)
    found: list[dict[str, Any]] = []
    after = None
    while not found or after is not None:
        page = client.answers(after=after, limit=2)
        assert len(page["answers"]) <= 2
        found += page["answers"]
        after = page["next"]
    assert [one["by"] for one in found if one["by"] in names] == list(names[::-1]), "the newest first"
    assert [one["at_ms"] for one in found] == sorted([one["at_ms"] for one in found], reverse=True)
    for name in names:
        listed = client.list_items(name, limit=1)
        assert listed is not None
        assert [one["collection"] for one in listed["items"]] == [name]
