"""A message that ends the process costs one message: it is found, set aside, and everything else is decided."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from redis import Redis

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners
from tests.support import poison
from tests.support.engine import Log, opened
from tests.support.streams import KEYS, PROCESSED, REJECTED, Published, outcomes, published
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

APP = "tests.support.poison_app"
IMPATIENT = {"suspect_after": 2}
HANGS = {poison.HANGS, poison.HANGS_DEEP}
NEIGHBOURS = 12


def supervised(owners: Owners, done: Any, **changes: Any) -> int:
    """What a supervisor does: start the worker again whenever it has ended; how often it had to."""
    for start in range(20):
        owner = owners(f"owner {start}", app=APP, changes={**IMPATIENT, **changes}).start()

        def over(owner: Any = owner) -> bool:
            return done() or owner.ended

        wait_until(over, "the worker to get through, or to end", 60)
        if done():
            assert owner.terminate() == 0
            return start
    raise AssertionError("it never got through")


def letters(redis: Redis) -> list[dict[str, Any]]:
    entries: Any = redis.xrange(KEYS.dead_letters)
    return [json.loads(fields[b"event"])["data"] for _, fields in entries]


def around(texts: list[str]) -> list[dict[str, str]]:
    """The texts, each between neighbours."""
    items = [{"id": f"good {n}", "text": f"neighbour number {n}"} for n in range(NEIGHBOURS)]
    for place, text in enumerate(texts):
        items.insert(3 + 4 * place, {"id": f"bad {place}", "text": text})
    return items


def answers(redis: Redis) -> list[Published]:
    return outcomes(published(redis))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(poison.HANGS_DEEP, "busy for more than", marks=pytest.mark.slow),
        pytest.param(poison.KILLS, "SIGKILL", marks=pytest.mark.slow),
        pytest.param(poison.SEGFAULTS, "SIGSEGV", marks=pytest.mark.slow),
        pytest.param(poison.HANGS, "busy for more than", marks=pytest.mark.slow),
        pytest.param(poison.RAISES, "raised ZeroDivisionError", marks=pytest.mark.slow),
        pytest.param(poison.EATS, "raised ", marks=pytest.mark.slow),
        pytest.param(poison.EXITS, "exit code 0", marks=pytest.mark.slow),
    ],
)
def test_only_the_message_that_ends_the_process_is_set_aside(
    redis: Redis, client: Client, owner_process: Owners, text: str, says: str
) -> None:
    items = around([text])
    positions = client.ingest_many(items)
    changes = {"hang_after_s": 3.0} if text in HANGS else {}
    starts = supervised(owner_process, lambda: len(answers(redis)) >= len(items), **changes)

    told = answers(redis)
    assert [event.command for event in told] == [str(position) for position in positions]
    by_item = {event.data["item_id"]: event for event in told}
    bad = by_item.pop("bad 0")
    assert (bad.type, bad.data["code"]) == (REJECTED, "quarantined")
    assert says in bad.data["message"]
    assert {event.type for event in by_item.values()} == {PROCESSED}
    assert letters(redis) == [bad.data]
    assert json.loads(letters(redis)[0]["payload"]) == items[3]
    assert starts == IMPATIENT["suspect_after"]


def test_several_at_once_and_a_replay_that_agrees(
    redis: Redis, client: Client, owner_process: Owners, tmp_path: Any
) -> None:
    items = around([poison.KILLS, poison.SEGFAULTS])
    positions = client.ingest_many(items)
    log = redis.xrange(KEYS.commands)
    supervised(owner_process, lambda: len(answers(redis)) >= len(items))
    first = [event.without_timings() for event in published(redis)]
    assert sorted(letter["item_id"] for letter in letters(redis)) == ["bad 0", "bad 1"]

    # What has been trimmed since is forgotten; an empty state must know it before it comes to the poison.
    found = {event.command: event.data["message"] for event in answers(redis) if event.type == REJECTED}
    assert redis.hgetall(KEYS.quarantined).items() <= {k.encode(): v.encode() for k, v in found.items()}.items()
    redis.hset(KEYS.quarantined, mapping=found)
    redis.delete(KEYS.commands, KEYS.events, KEYS.dead_letters, KEYS.state)
    for id_, fields in log:
        redis.xadd(KEYS.commands, fields, id=id_)
    empty = {"state_dir": tmp_path / "another state"}
    assert supervised(owner_process, lambda: len(answers(redis)) >= len(items), **empty) == 0
    assert [event.without_timings() for event in published(redis)] == first
    assert positions[-1] == EntryId.parse(log[-1][0].decode())


@pytest.mark.slow
def test_the_finding_is_a_command_on_the_log(redis: Redis, client: Client, owner_process: Owners) -> None:
    seen: list[tuple[str, dict[bytes, bytes]]] = []
    over = threading.Event()

    def follow() -> None:  # whoever waits at the stream gets what comes before anybody can trim it
        while not over.is_set():
            last = seen[-1][0] if seen else "0"
            for _, entries in redis.xread({KEYS.commands: last}, block=200) or []:
                seen.extend((id_.decode(), fields) for id_, fields in entries)

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        position = client.ingest({"id": "bad", "text": poison.KILLS})
        supervised(owner_process, lambda: len(answers(redis)) == 1)
    finally:
        over.set()
        follower.join()
    findings = [json.loads(fields[b"data"]) for _, fields in seen if fields.get(b"type") == b"command.quarantined"]
    assert findings
    assert findings[0]["entry"] == str(position)


@pytest.mark.slow
def test_what_kills_only_in_company_is_not_set_aside(redis: Redis, client: Client, owner_process: Owners) -> None:
    items = [{"id": str(n), "text": f"number {n}: {poison.TOGETHER}"} for n in range(3)]
    client.ingest_many(items)
    supervised(owner_process, lambda: len(answers(redis)) >= len(items))
    assert {event.type for event in answers(redis)} == {PROCESSED}
    assert letters(redis) == []


@pytest.mark.slow
def test_a_worker_killed_from_outside_costs_no_message(redis: Redis, client: Client, owner_process: Owners) -> None:
    """Whoever kills it again and again over the same batch brings it to look, and it finds nothing."""
    client.ingest({"id": "slow", "text": "a text like any other"})
    position = redis.xrange(KEYS.commands)[0][0].decode()
    owner = owner_process("first", app=APP, changes=IMPATIENT).start()
    wait_until(lambda: len(answers(redis)) == 1, "the answer")
    owner.kill()
    note = next(owner.settings.state_dir.rglob("in-hand.json"))
    client.ingest({"id": "next", "text": "another one"})
    last = redis.xrange(KEYS.commands)[-1][0].decode()
    note.write_text(json.dumps({"after": position, "last": last, "deaths": 7}).ljust(128))
    supervised(owner_process, lambda: len(answers(redis)) >= 2)
    assert {event.type for event in answers(redis)} == {PROCESSED}
    assert letters(redis) == []


def test_what_raises_only_beside_what_is_stored_is_set_aside(
    redis: Redis, client: Client, owner_process: Owners, settings: Settings
) -> None:
    """An innocent message, and a state that holds what makes the engine fail on it."""
    engine, log = opened(settings.partition_dir), Log()
    engine.process([log.upsert("x", "the lid is missing")])
    engine._store._db.execute(
        "CREATE TRIGGER trap BEFORE DELETE ON items WHEN OLD.id = 'x' BEGIN SELECT raise(ABORT, 'of the test'); END"
    )
    engine.close()
    items = [{"id": f"good {n}", "text": f"neighbour number {n}"} for n in range(NEIGHBOURS)]
    client.ingest_many(items[:5])
    position = client.erase("x")
    client.ingest_many(items[5:])
    starts = supervised(owner_process, lambda: len(answers(redis)) > NEIGHBOURS)
    by_command = {event.command: event for event in answers(redis)}
    bad = by_command.pop(str(position))
    assert (bad.type, bad.data["code"]) == (REJECTED, "quarantined")
    assert "raised IntegrityError" in bad.data["message"]
    assert {event.type for event in by_command.values()} == {PROCESSED}
    assert starts == IMPATIENT["suspect_after"]
    assert not (settings.partition_dir / "examination").exists()
