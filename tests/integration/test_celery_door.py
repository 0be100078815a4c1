"""Whatever is sent to the owner's Celery queue neither stops the worker nor disappears; nothing in it is executed."""

from __future__ import annotations

import base64
import gzip
import json
import random
import uuid
from typing import Any, NamedTuple

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.events.dead_letters import DeadLetters
from celery_recommender.broker.redis.connections import celery_url
from celery_recommender.celery.consumer.safe_pop import in_transit
from celery_recommender.celery.messages.validation import MOST_BYTES
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.integration.conftest import Owners
from tests.support.servers import Server
from tests.support.streams import KEYS, PROCESSED, outcomes, published
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

PICKLE = b"cos\nsystem\n(S'touch /tmp/owned-by-pickle'\ntR."
EVIL = {"task": "evil.task", "args": [], "kwargs": {}, "options": {"queue": "victims"}}


def call(
    args: list[Any],
    task: Any = "recommender.ingest",
    *,
    kwargs: Any = None,
    embed: Any = None,
    body: Any = None,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    **changes: Any,
) -> bytes:
    """A message as Celery's Redis transport has it in its list."""
    id_ = str(uuid.uuid4())
    content = json.dumps([args, kwargs or {}, embed or {}]).encode() if body is None else body
    envelope = {
        "body": base64.b64encode(content).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": id_, "root_id": id_, **(headers or {})},
        "properties": {
            "correlation_id": id_,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": KEYS.queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            **(properties or {}),
        },
        **changes,
    }
    return json.dumps({name: value for name, value in envelope.items() if value is not ...}).encode()


class Bad(NamedTuple):
    code: str
    raw: bytes


HEADERS = ("id", "root_id", "parent_id", "group", "retries", "eta", "expires", "timelimit", "stamps", "shadow", "chord")
ITEM = {"id": "hostile", "text": "something"}
NESTED = b"[" * 100_000 + b"]" * 100_000
REFUSED = {
    "nothing": Bad("not_json", b""),
    "no JSON": Bad("not_json", b"not json"),
    "list": Bad("wrong_type", b"[1]"),
    "null": Bad("wrong_type", b"null"),
    "number": Bad("wrong_type", b"1e400"),
    "no UTF-8": Bad("not_utf8", b"\xff\xfe\x00"),
    "byte order mark": Bad("not_json", b"\xef\xbb\xbf" + call([ITEM])),
    "deep": Bad("too_deep", NESTED),
    "deep enough": Bad("too_deep", call([ITEM], headers={"stamps": json.loads(NESTED[:150] + NESTED[-150:])})),
    "an empty object": Bad("missing_field", b"{}"),
    "no headers": Bad("missing_field", call([ITEM], **{"headers!": 1}).replace(b'"headers"', b'"heads"')),
    "headers as a list": Bad("missing_field", json.dumps({**json.loads(call([ITEM])), "headers": [1]}).encode()),
    "no properties": Bad("missing_field", json.dumps({**json.loads(call([ITEM])), "properties": None}).encode()),
    "no base64": Bad("not_base64", json.dumps({**json.loads(call([ITEM])), "body": "%%%"}).encode()),
    "cut base64": Bad("not_base64", json.dumps({**json.loads(call([ITEM])), "body": "abc"}).encode()),
    "body as an object": Bad("wrong_type", json.dumps({**json.loads(call([ITEM])), "body": {"a": 1}}).encode()),
    "odd body encoding": Bad("not_accepted", call([ITEM], properties={"body_encoding": "rot13"})),
    "bad JSON body": Bad("not_json", call([], body=b'[[{"id": "x"')),
    "body as an object inside": Bad("wrong_type", call([], body=b"{}")),
    "body of two": Bad("wrong_type", call([], body=b"[[], {}]")),
    "pickle": Bad("not_accepted", call([], body=PICKLE, **{"content-type": "application/x-python-serialize"})),
    "yaml": Bad(
        "not_accepted", call([], body=b"!!python/object/apply:os.system [ls]", **{"content-type": "application/x-yaml"})
    ),
    "msgpack": Bad("not_accepted", call([], body=b"\x93\x90\x80\x80", **{"content-type": "application/x-msgpack"})),
    "unknown content type": Bad("not_accepted", call([ITEM], **{"content-type": "application/x-none"})),
    "compressed bomb": Bad(
        "too_large",
        call([], body=gzip.compress(b"\0" * 50_000_000), headers={"compression": "application/x-gzip"}),
    ),
    "unknown task": Bad("unknown_task", call([ITEM], "evil.task")),
    "a task of Celery's own": Bad("unknown_task", call([], "celery.backend_cleanup")),
    "a map of tasks": Bad("unknown_task", call([{"task": "recommender.erase"}, [[ITEM]]], "celery.starmap")),
    "task as a number": Bad("missing_field", call([ITEM], 7)),
    "protocol 1": Bad(
        "missing_field",
        json.dumps(
            {**json.loads(call([], body=b'{"task": "recommender.ingest", "args": []}')), "headers": {}}
        ).encode(),
    ),
    "no id": Bad("missing_field", call([ITEM], headers={"id": None})),
    "id as an object": Bad("invalid_value", call([ITEM], headers={"id": {"a": 1}})),
    "id with a line break": Bad("invalid_value", call([ITEM], headers={"id": "a\r\nSET x 1"})),
    "long id": Bad("invalid_value", call([ITEM], headers={"id": "i" * 1000})),
    "root id as a list": Bad("invalid_value", call([ITEM], headers={"root_id": [1]})),
    "reply address as an object": Bad("invalid_value", call([ITEM], properties={"reply_to": {"queue": "victims"}})),
    "eta out of the world": Bad("invalid_value", call([ITEM], headers={"eta": "9999-12-31T23:59:59+00:00"})),
    "eta as a number": Bad("wrong_type", call([ITEM], headers={"eta": 5})),
    "no date": Bad("invalid_value", call([ITEM], headers={"expires": "soon"})),
    "retries as text": Bad("wrong_type", call([ITEM], headers={"retries": "many"})),
    "callbacks as text": Bad("wrong_type", call([ITEM], embed={"callbacks": "evil.task"})),
    "callbacks of numbers": Bad("wrong_type", call([ITEM], embed={"callbacks": [1, EVIL]})),
    "errbacks as an object": Bad("wrong_type", call([ITEM], embed={"errbacks": EVIL})),
    "chain of nothing": Bad("wrong_type", call([ITEM], embed={"chain": [{"options": EVIL}]})),
    "chord as a list": Bad("wrong_type", call([ITEM], embed={"chord": [EVIL]})),
    "another id in the body": Bad("not_accepted", call([ITEM], embed={"id": "another"})),
    "callbacks as a header": Bad("not_accepted", call([ITEM], headers={"callbacks": [EVIL]})),
    "a method as a header": Bad("not_accepted", call([ITEM], headers={"get": 1})),
    "retries without end": Bad("invalid_value", call([ITEM], headers={"retries": 2**70})),
    "one time limit": Bad("wrong_type", call([ITEM], headers={"timelimit": [1]})),
    "unknown task with errbacks": Bad("unknown_task", call([ITEM], "evil.task", embed={"errbacks": [EVIL]})),
}
ADMITTED = {
    "too few arguments": Bad("wrong_arguments", call([])),
    "too many arguments": Bad("wrong_arguments", call([ITEM, "key", 3])),
    "unknown keyword": Bad("wrong_arguments", call([ITEM], kwargs={"colour": 1})),
    "key as an object": Bad("wrong_type", call([ITEM], kwargs={"key": {"a": 1}})),
    "too large": Bad("too_large", call([{"id": "hostile", "text": "x" * 300_000}])),
    "list of none": Bad("wrong_type", call([[]], "recommender.ingest_many")),
    "search for nothing": Bad("wrong_arguments", call([], "recommender.search")),
}


def letters(redis: Redis) -> list[Any]:
    return [letter for letter in DeadLetters(redis, KEYS).newest_first() if letter.data["source"] == "celery"]


def quiet(redis: Redis) -> bool:
    keys = (KEYS.queue, in_transit(KEYS.queue), "unacked")
    return not any(redis.exists(key) for key in keys)


def send(redis: Redis, ids: list[str]) -> None:
    for id_ in ids:
        redis.lpush(KEYS.queue, call([{"id": id_, "text": f"item {id_}"}]))


def decided(redis: Redis) -> list[str]:
    return [event.data["item_id"] for event in outcomes(published(redis)) if event.type == PROCESSED]


def quiet_at_last(redis: Redis) -> bool:
    """What a kill left unacknowledged comes back after ``visibility_timeout``, ten minutes; here at the next sweep."""
    for tag in redis.zrange("unacked_index", 0, -1):
        redis.zadd("unacked_index", {tag: 1.0}, xx=True)
    return quiet(redis)


def test_every_bad_message_is_a_dead_letter(redis: Redis, client: Client, owner_process: Owners) -> None:
    owner = owner_process().running()
    bad = {**REFUSED, **ADMITTED}
    good = []
    for place, (_, raw) in enumerate(bad.values()):
        redis.lpush(KEYS.queue, raw)
        good.append(f"good {place}")
        redis.lpush(KEYS.queue, call([{"id": good[-1], "text": f"number {place}"}]))
    wait_until(lambda: len(outcomes(published(redis))) >= len(bad) + len(good), "all of them", 60)

    wait_until(lambda: quiet(redis), "the lists to be empty")
    answers = outcomes(published(redis))
    assert sorted(event.data["item_id"] for event in answers if event.type == PROCESSED) == sorted(good)
    found = {letter.payload[: 128 * 1024]: letter for letter in letters(redis)}
    assert [name for name, (_, raw) in bad.items() if raw[: 128 * 1024] not in found] == []
    assert len(found) == len(letters(redis)) == len(bad)
    for name, (code, raw) in bad.items():
        letter = found[raw[: 128 * 1024]]
        assert (name, letter.code) == (name, code)
        assert letter.data["payload_bytes"] == len(raw)
    assert found[ADMITTED["unknown keyword"].raw].data["item_id"] == "hostile"
    # Nothing was called, and the worker is the one that it was.
    assert redis.exists("victims", "celery") == 0
    assert owner.status() is not None
    assert "something" not in owner.output, "no payload in the log"
    assert owner.terminate() == 0


def mutated(chance: random.Random, place: int) -> bytes:
    """A call of a task in which one to three things have been replaced by something odd."""
    odd = [
        None,
        0,
        -1,
        2**70,
        1e308,
        "",
        "x",
        "\0",
        [],
        {},
        [[]],
        {"a": []},
        True,
        "9999",
        ["x", 1],
        {"__type__": "uuid"},
    ]
    envelope = json.loads(call([{"id": f"odd {place}", "text": "something odd"}]))
    body = json.loads(base64.b64decode(envelope["body"]))
    for _ in range(chance.randint(1, 3)):
        target = chance.choice([envelope, envelope["headers"], envelope["properties"], body[1], body[2]])
        known = [*target, *HEADERS, "callbacks", "chain", "chord", "errbacks", "data", "key"]
        if isinstance(target, dict):
            target[chance.choice(known)] = chance.choice(odd)
        if not isinstance(envelope.get("headers"), dict) or not isinstance(envelope.get("properties"), dict):
            break
    if isinstance(envelope.get("body"), str) and envelope["body"]:
        envelope["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    return json.dumps(envelope).encode()


@pytest.mark.parametrize("seed", [20, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(20))])
def test_odd_messages_stop_no_worker(redis: Redis, owner_process: Owners, seed: int) -> None:
    owner = owner_process().running()
    chance = random.Random(seed)
    good = [f"good {place}" for place in range(20)]
    for place in range(200):
        redis.lpush(KEYS.queue, mutated(chance, place))
        if place % 10 == 0:
            send(redis, [good[place // 10]])
    wait_until(lambda: {*good} <= {*decided(redis)}, "the good ones", 60)
    wait_until(lambda: redis.llen(KEYS.queue) == 0 and redis.llen(in_transit(KEYS.queue)) == 0, "all to be taken")
    assert owner.output.count("ready.") == 1, "it has not connected anew"
    assert redis.exists("victims") == 0
    assert owner.terminate() == 0


def test_the_same_message_is_one_letter_and_a_replay_another(
    redis: Redis, client: Client, owner_process: Owners, settings: Settings
) -> None:
    owner_process().running()
    raw = call([ITEM], "tomorrow.task")
    for _ in range(3):
        redis.lpush(KEYS.queue, raw)
    wait_until(lambda: len(letters(redis)) == 1 and quiet(redis), "the letter")

    box = DeadLetters(redis, KEYS, redis)
    (first,) = letters(redis)
    box.replay(first)
    wait_until(lambda: [letter.id for letter in letters(redis)] not in ([], [first.id]), "it to be refused again")
    assert len(letters(redis)) == 1
    assert json.loads(letters(redis)[0].payload)["headers"]["replayed"] == str(first.id)


def test_callers_get_the_outcome(redis: Redis, owner_process: Owners, settings: Settings) -> None:
    owner_process().running()
    with Celery("caller", broker=celery_url(settings.redis_url), backend=celery_url(settings.redis_url)) as app:
        unknown = app.send_task("tomorrow.task", [ITEM], queue=KEYS.queue)
        wrong = app.send_task("recommender.ingest", [], queue=KEYS.queue)
        with pytest.raises(Exception, match="unknown_task"):
            unknown.get(timeout=30)
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            wrong.get(timeout=30)
    wait_until(lambda: len(letters(redis)) == 2, "the letters")


def test_a_message_of_many_megabytes(redis: Redis, client: Client, owner_process: Owners) -> None:
    owner_process().running()
    redis.lpush(KEYS.queue, call([{"id": "hostile", "text": "x" * MOST_BYTES}]))
    wait_until(lambda: len(letters(redis)) == 1, "the letter")
    assert letters(redis)[0].code == "too_large"
    wait_until(lambda: quiet(redis), "the lists to be empty")


@pytest.mark.parametrize("door", [pytest.param("direct", marks=pytest.mark.slow), "fanout"])
def test_remote_control_is_off(
    redis: Redis, client: Client, owner_process: Owners, settings: Settings, door: str
) -> None:
    """A broadcast that stops any other worker, and the same message in the owner's own queue."""
    owner = owner_process().running()
    with Celery("stranger", broker=celery_url(settings.redis_url)) as app:
        if door == "fanout":
            app.control.broadcast("shutdown")
            assert app.control.ping(timeout=1) == []
        else:
            with Connection(celery_url(settings.redis_url)) as connection:
                connection.Producer().publish({"method": "shutdown", "arguments": {}}, routing_key=KEYS.queue)
            wait_until(lambda: len(letters(redis)) == 1, "the letter")
    assert client.outcome(client.ingest({"id": "alive", "text": "still there"}))["type"] == PROCESSED
    assert owner.terminate() == 0


def test_colliding_tags_and_a_forged_address(redis: Redis, client: Client, owner_process: Owners) -> None:
    """Two messages with one tag are two, and neither goes where its own address says."""
    owner_process().running()
    address = {"exchange": "evil", "routing_key": "victims"}
    same = {"delivery_tag": "one for all", "delivery_info": address}
    for place in range(20):
        redis.lpush(KEYS.queue, call([{"id": f"twin {place}", "text": f"number {place}"}], properties=same))
    wait_until(lambda: len(outcomes(published(redis))) == 20, "all of them")
    assert quiet(redis)
    assert redis.exists("victims") == 0


def test_what_was_in_transit_or_unacknowledged_is_taken_up(redis: Redis, client: Client, owner_process: Owners) -> None:
    """Where a kill leaves a message: between the lists, or recorded; its binding may be gone."""
    for place in range(5):
        redis.lpush(in_transit(KEYS.queue), call([{"id": f"in transit {place}", "text": f"number {place}"}]))
    envelope = json.loads(call([{"id": "recorded", "text": "recorded long ago"}]))
    redis.hset("unacked", "tag", json.dumps([envelope, "", KEYS.queue]))
    redis.zadd("unacked_index", {"tag": 1.0})
    owner_process().running()
    wait_until(lambda: len(outcomes(published(redis))) == 6, "all of them")
    assert sorted(decided(redis)) == sorted([*(f"in transit {place}" for place in range(5)), "recorded"])


@pytest.mark.slow
def test_what_went_to_a_connection_that_is_gone_comes_back(redis: Redis, owner_process: Owners) -> None:
    """The server has not missed it yet, and gives it a message."""
    owner_process().running()
    send(redis, ["first"])
    wait_until(lambda: decided(redis) == ["first"], "the first")
    redis.lpush(in_transit(KEYS.queue), call([{"id": "orphan", "text": "of a lost connection"}]))
    wait_until(lambda: decided(redis) == ["first", "orphan"], "the orphan")
    wait_until(lambda: quiet(redis), "the lists to be empty")


def test_a_full_server_loses_nothing(redis: Redis, owner_process: Owners) -> None:
    """With BRPOP a full server gives the message away and then refuses to have it recorded."""
    owner_process().running()
    send(redis, ["before"])
    wait_until(lambda: decided(redis) == ["before"], "the first")
    ids = [str(place) for place in range(20)]
    with redis.pipeline(transaction=True) as pipe:
        for id_ in ids:
            pipe.lpush(KEYS.queue, call([{"id": id_, "text": f"item {id_}"}]))
        pipe.config_set("maxmemory", 1)
        pipe.execute()
    # It has noticed: a connection that was waiting already is served once more, and its message stays in transit.
    wait_until(lambda: redis.llen(KEYS.queue) + redis.llen(in_transit(KEYS.queue)) == len(ids), "it to be refused")
    redis.config_set("maxmemory", 0)
    wait_until(lambda: len(decided(redis)) >= 1 + len(ids), "all of them", 60)
    assert sorted(decided(redis)) == sorted(["before", *ids])
    wait_until(lambda: quiet(redis), "the lists to be empty")


@pytest.mark.parametrize("victim", ["worker", pytest.param("server", marks=pytest.mark.slow)])
def test_kills_lose_nothing(
    victim: str, server: Server, redis: Redis, owner_process: Owners, settings: Settings
) -> None:
    kills(victim, server, redis, owner_process, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["worker", "server"])
def test_many_kills_lose_nothing(
    victim: str, server: Server, redis: Redis, owner_process: Owners, settings: Settings
) -> None:
    kills(victim, server, redis, owner_process, rounds=25)


def kills(victim: str, server: Server, redis: Redis, owners: Owners, rounds: int) -> None:
    """A kill in the middle of eighty messages, each time at another place; every message is decided once."""
    sent: list[str] = []
    owner = owners("owner 0").running()
    for number in range(rounds):
        ids = [f"{number} {place}" for place in range(80)]
        send(redis, ids)
        sent += ids
        rest = random.Random(number).randint(5, 75)
        wait_until(lambda rest=rest: redis.llen(KEYS.queue) <= rest, "some to be taken")  # type: ignore[misc]
        if victim == "worker":
            owner.kill()
            owner = owners(f"owner {number + 1}").running()
        else:
            server.kill()
            server.start()
            wait_until(lambda: _answers(redis), "the server to be back")
        wait_until(lambda: quiet_at_last(redis), f"everything of round {number} to be taken", 60)
        wait_until(lambda: len(decided(redis)) >= 80 * (number + 1), f"all of round {number}", 60)  # noqa: B023
    assert sorted(decided(redis)) == sorted(sent)


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
