"""How long events stay in their stream, and how to read them afterwards."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from redis import Redis

from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners, Run
from tests.support.command_line import command, environment
from tests.support.streams import KEYS, answered, published
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


@pytest.fixture
def small_nodes(redis: Redis) -> None:
    """Streams are trimmed by whole nodes; with small ones a test need not send many."""
    redis.config_set("stream-node-max-entries", 1)


def items(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"id": f"T-{n}", "text": f"order {n} came without its lid"} for n in range(first, first + count)]


def read(redis: Redis, group: str, count: int) -> list[bytes]:
    reply: Any = redis.xreadgroup(group, "one", {KEYS.events: ">"}, count=count)
    return [id_ for _, entries in reply for id_, _ in entries]


def groups_of(owner: Any) -> dict[str, Any]:
    return {group["name"]: group for group in owner.status().get("events", {}).get("groups", ())}


@pytest.mark.usefixtures("small_nodes")
def test_events_go_when_every_group_has_acknowledged_them(client: Client, redis: Redis, owner_process: Owners) -> None:
    redis.xgroup_create(KEYS.events, "fast", id="0", mkstream=True)
    redis.xgroup_create(KEYS.events, "slow", id="0")
    owner = owner_process(changes={"events_retention": "groups"}).running()
    ids = [event.id.encode() for event in answered(redis, client.ingest_many(items(30)))]
    assert read(redis, "fast", 30) == ids
    redis.xack(KEYS.events, "fast", *ids)
    assert read(redis, "slow", 20) == ids[:20]
    redis.xack(KEYS.events, "slow", *ids[:10])
    # Ten are delivered to the slow one and not acknowledged: they stay.
    wait_until(lambda: redis.xlen(KEYS.events) == 20, "what both have acknowledged to go")
    wait_until(lambda: list(groups_of(owner)) == ["slow", "fast"], "the slow one to be told first")
    wait_until(lambda: groups_of(owner)["slow"]["behind_s"] > 0, "the slow one to be behind")
    told = groups_of(owner)
    assert (told["fast"]["behind_s"], told["fast"]["missed"], told["slow"]["missed"]) == (0, False, False)
    redis.xack(KEYS.events, "slow", *ids[10:20])
    wait_until(lambda: redis.xlen(KEYS.events) == 10, "the rest of it to go")
    assert [event.id.encode() for event in published(redis)] == ids[20:]


@pytest.mark.usefixtures("small_nodes")
def test_a_dead_consumer_holds_nothing_up(
    client: Client, redis: Redis, owner_process: Owners, recommender: Run
) -> None:
    """The stream is bounded whatever a group has read; what it missed is read again from the store."""
    redis.xgroup_create(KEYS.events, "dead", id="0", mkstream=True)
    owner = owner_process(changes={"events_retention": "groups", "events_max_length": 1000}).running()
    count = 1200
    first = client.ingest_many(items(count // 2))
    owner.until(lambda: groups_of(owner).get("dead", {}).get("behind_s"), "the group to be seen behind")
    positions = first + client.ingest_many(items(count // 2, first=count // 2))
    answered(redis, positions)
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the commands to be trimmed")
    assert 1000 <= redis.xlen(KEYS.events) < count
    wait_until(lambda: groups_of(owner)["dead"]["missed"], "the owner to say that it missed some")
    assert "events.dropped_unread" in owner.output
    doctor = json.loads(recommender("doctor", "--json").stdout)
    (finding,) = [one for one in doctor if one["check"] == "group dead"]
    assert finding["state"] == "warning"
    assert "recommender watch --from ID" in finding["advice"]


@pytest.mark.usefixtures("small_nodes")
def test_events_go_when_they_are_old(client: Client, redis: Redis, owner_process: Owners) -> None:
    hour_ms = 3_600_000
    owner = owner_process().running()
    now_ms = client.ingest(items(1)[0]).ms
    answered(redis, [EntryId.parse(client.redis.xinfo_stream(KEYS.commands)["last-generated-id"].decode())])
    owner.terminate()
    young = published(redis)[0].id
    redis.delete(KEYS.events)
    for ms in (now_ms - 3 * hour_ms, now_ms - hour_ms):
        redis.xadd(KEYS.events, {"type": "t", "event": '{"data": {"command": {"id": "0-0"}}}'}, id=f"{ms}-0")
    owner_process("second", changes={"events_retention": "age", "events_hours": 2}).running()
    expected = [f"{now_ms - hour_ms}-0", young]
    what = "the old one to go, and the young one to be published again"
    wait_until(lambda: [event.id for event in published(redis)] == expected, what)


def test_by_size_alone_what_was_read_stays(client: Client, redis: Redis, owner_process: Owners) -> None:
    redis.xgroup_create(KEYS.events, "reader", id="0", mkstream=True)
    owner = owner_process().running()
    ids = [event.id.encode() for event in answered(redis, client.ingest_many(items(5)))]
    redis.xack(KEYS.events, "reader", *read(redis, "reader", 5))
    told = {"entries": 5, "groups": [{"name": "reader", "behind_s": 0.0, "missed": False}]}
    owner.until(lambda: (owner.status() or {}).get("events") == told, "the owner to see it")
    assert [event.id.encode() for event in published(redis)] == ids


def test_events_are_read_again_from_the_store(
    client: Client, redis: Redis, owner_process: Owners, settings: Settings
) -> None:
    owner_process().running()
    events = answered(redis, client.ingest_many(items(50)))
    redis.xtrim(KEYS.events, maxlen=10, approximate=False)
    app, _ = make_app(settings)
    ask = app.tasks["recommender.events"]
    page = ask.delay(limit=30).get(timeout=20)
    assert [event["id"] for event in page["events"]] == [event.id for event in events[:30]]
    assert page["events"][7] == json.loads(events[7].event)
    assert (page["next"], page["oldest"]) == (events[29].id, events[0].id)
    rest = ask.delay(after=page["next"]).get(timeout=20)
    assert [event["id"] for event in rest["events"]] == [event.id for event in events[30:]]
    end = ask.delay(after=rest["next"]).get(timeout=20)
    assert (end["events"], end["next"]) == ([], None)
    with pytest.raises(Exception, match="after must be the id of an event"):
        ask.delay(after="yesterday").get(timeout=20)
    app.close()


def test_a_page_of_events_is_bounded_by_bytes(
    client: Client, redis: Redis, owner_process: Owners, settings: Settings
) -> None:
    owner_process().running()
    large = [{"id": f"T-{n}", "colour": "x" * 9_000} for n in range(1100)]
    answered(redis, client.ingest_many(large))
    app, _ = make_app(settings)
    found: list[str] = []
    pages = 0
    after: str | None = "0-0"
    while after is not None:
        page = app.tasks["recommender.events"].delay(after=after).get(timeout=20)
        assert len(json.dumps(page)) < 10 << 20
        found += [event["data"]["item_id"] for event in page["events"]]
        after = page["next"]
        pages += 1
    assert found == [item["id"] for item in large]
    assert pages > 2, "a thousand fit by their number"
    app.close()


def test_watch_begins_at_the_given_position(
    settings: Settings, client: Client, redis: Redis, owner_process: Owners
) -> None:
    """From the store, then on from the stream, no event twice."""
    owner_process().running()
    events = answered(redis, client.ingest_many(items(8)))
    redis.xtrim(KEYS.events, maxlen=2, approximate=False)
    watch = subprocess.Popen(
        command("watch", "--json", "--from", events[2].id), env=environment(settings), stdout=subprocess.PIPE, text=True
    )
    try:
        assert watch.stdout
        seen = [json.loads(watch.stdout.readline())["id"] for _ in range(5)]
        assert seen == [event.id for event in events[3:]]
        client.ingest({"id": "T-8", "text": "one more"})
        assert json.loads(watch.stdout.readline())["data"]["item_id"] == "T-8"
    finally:
        watch.kill()
        watch.communicate()


def test_watch_wants_an_id(recommender: Run) -> None:
    assert "'yesterday' is not the id of an event" in recommender("watch", "--from", "yesterday", status=2).stderr
    assert "not both" in recommender("watch", "--from", "0-0", "--from-start", status=2).stderr
