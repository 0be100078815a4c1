"""One bad message costs one message."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from redis import Redis

from celery_recommender.broker.events.dead_letters import DeadLetters
from celery_recommender.client import Client
from recommender_engine.items import EntryId
from recommender_engine.items.limits import MAX_MESSAGE_BYTES, MAX_SHOWN_BYTES
from tests.integration.conftest import Owners
from tests.support.streams import KEYS, PROCESSED, REJECTED, Published, outcomes, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

YEAR_MS = 365 * 24 * 3600 * 1000
TEN_MEGABYTES = 10 * 1024 * 1024


class Bad(NamedTuple):
    """A message that must be rejected.

    Attributes:
        code: with this code …
        field: … and this field.
        fields: of the stream entry.
    """

    code: str
    field: str | None
    fields: Mapping[bytes, bytes]


def bad(code: str, field: str | None, data: bytes | Mapping[str, Any], **others: bytes) -> Bad:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Bad(code, field, {b"data": raw, **{name.encode(): value for name, value in others.items()}})


def item(**changes: Any) -> dict[str, Any]:
    return {"id": "bad", "text": "something", **changes}


def settings(**changes: Any) -> dict[str, Any]:
    return {"collection": "c", "settings": changes}


CONFIGURED = b"collection.configured"
BAD = {
    "not JSON": bad("not_json", None, b'{"id": "bad", "text": '),
    "nothing": bad("not_json", None, b""),
    "byte order mark": bad("not_json", None, b'\xef\xbb\xbf{"id": "bad", "text": "x"}'),
    "list": bad("wrong_type", None, b'[{"id": "bad"}]'),
    "null": bad("wrong_type", None, b"null"),
    "missing id": bad("missing_field", "id", {"text": "x"}),
    "number as id": bad("wrong_type", "id", item(id=7)),
    "empty id": bad("invalid_value", "id", item(id="")),
    "id with a line break": bad("invalid_value", "id", item(id="a\r\nXADD")),
    "id with a NUL": bad("invalid_value", "id", item(id="a\0b")),
    "long id": bad("invalid_value", "id", item(id="é" * 129)),
    "no text": bad("invalid_value", None, {"id": "bad"}),
    "empty text": bad("invalid_value", None, item(text="")),
    "white space": bad("invalid_value", None, item(text=" \n\t ")),
    "invisible text": bad("empty_text", "text", item(text="\u200b\u2060\ufeff")),
    "long text": bad("invalid_value", "text", item(text="word " * 21_000)),
    "ten megabytes": bad("too_large", None, item(text="x" * TEN_MEGABYTES)),
    "text and fields": bad("invalid_value", None, item(fields={"title": "x"})),
    "NaN in the vector": bad("not_json", None, item(vector=[float("nan")] * 64)),
    "overflow in the vector": bad("invalid_value", "vector.0", b'{"id":"bad","text":"x","vector":[1e999]}'),
    "vector of length zero": bad("invalid_value", None, item(vector=[0.0] * 64)),
    "wrong dimension": bad("wrong_dimension", "vector", item(vector=[1.0] * 63)),
    "unknown field": bad("unknown_field", "colour", item(colour="red")),
    "text as a flag": bad("wrong_type", "silent", item(silent="yes")),
    "negative version": bad("invalid_value", "version", item(version=-1)),
    "fraction as version": bad("wrong_type", "version", item(version=1.5)),
    "nested attributes": bad("invalid_value", "attributes.size", item(attributes={"size": {"cm": 3}})),
    "timestamp without offset": bad("invalid_value", "timestamp", item(timestamp="2026-03-01T09:30:00")),
    "number as timestamp": bad("invalid_value", "timestamp", item(timestamp=1_700_000_000)),
    "lone surrogate": bad("not_unicode", None, b'{"id": "bad", "text": "\\ud800"}'),
    "surrogate in the id": bad("not_unicode", None, b'{"id": "bad\\udfff", "text": "x"}'),
    "duplicate keys": bad("not_json", None, b'{"id": "bad", "id": "worse", "text": "x"}'),
    "deep": bad("too_deep", None, item(attributes={"a": [[[[[[[[1]]]]]]]]})),
    "very deep": bad("too_deep", None, b"[" * 100_000),
    "bad UTF-8": bad("not_utf8", None, b'{"id": "bad", "text": "\xff\xfe"}'),
    "UTF-16": bad("not_utf8", None, '{"id": "bad", "text": "é"}'.encode("utf-16")),
    "unknown type": bad("unknown_type", None, item(), type=b"item.explode"),
    "type in bad UTF-8": bad("unknown_type", None, item(), type=b"\xff\r\n"),
    "unknown stream field": bad("unknown_field", "priority", item(), priority=b"9"),
    "missing data": Bad("missing_field", "data", {b"type": b"item.upsert", b"key": b"k"}),
    "empty key": bad("invalid_key", "key", item(), key=b""),
    "key in bad UTF-8": bad("invalid_key", "key", item(), key=b"\xff"),
    "key of a megabyte": bad("too_large", None, item(), key=b"k" * 1_000_000),
    "no time of expiry": bad("invalid_value", "expires_ms", item(), expires_ms=b"soon"),
    "expired": bad("expired", None, item(), expires_ms=b"1000"),
    "unknown setting": bad("unknown_field", "settings.colour", settings(colour=1), type=CONFIGURED),
    "unknown model": bad("unknown_model", "settings.model", settings(model="gpt"), type=CONFIGURED),
    "setting of old": bad("unknown_field", "settings.duplicate_from", settings(duplicate_from=0.9), type=CONFIGURED),
    "sure of all": bad("invalid_value", "settings.target_precision", settings(target_precision=1), type=CONFIGURED),
    "answer on one": bad("invalid_value", None, {"id": "x", "answer": "same"}, type=b"feedback.given"),
    "no answer": bad("invalid_value", "answer", {"id": "x", "other": "y", "answer": "so so"}, type=b"feedback.given"),
    "answer on itself": bad("invalid_value", None, {"id": "x", "other": "x", "answer": "same"}, type=b"feedback.given"),
    "patch without attributes": bad("invalid_value", "attributes", {"id": "x", "attributes": {}}, type=b"item.patch"),
}

# Odd, and yet as good as any.
GOOD_IDS = (
    "../../etc/passwd",
    "a:b",
    "{tag}",
    "'; DROP TABLE items; --",
    "recommender:default:events",
    "支付",
    "x" * 256,
    "-1",
    "NaN",
    "*",
)


def payload(event: Published) -> bytes:
    text: str = event.data["payload"]
    return base64.b64decode(text) if event.data["payload_encoding"] == "base64" else text.encode()


@pytest.fixture
def events(redis: Redis, owner_process: Owners) -> dict[str, list[Published]]:
    """Events by the command they answer: every bad message between two good ones, all in one go."""
    owner = owner_process().running()
    with redis.pipeline() as pipe:
        for place, one in enumerate(BAD.values()):
            pipe.xadd(KEYS.commands, dict(one.fields))
            id_ = GOOD_IDS[place] if place < len(GOOD_IDS) else f"good {place}"
            pipe.xadd(KEYS.commands, {"data": json.dumps({"id": id_, "text": f"item number {place}"})})
        positions = [id_.decode() for id_ in pipe.execute()]
    owner.until(lambda: len(outcomes(published(redis))) >= len(positions), "an answer to every message")
    owner.until(lambda: redis.xlen(KEYS.commands) == 0, "every message to be committed")
    by_command: dict[str, list[Published]] = {position: [] for position in positions}
    for event in outcomes(published(redis)):
        by_command[event.command].append(event)
    return by_command


def test_bad_messages_are_rejected_and_good_ones_between_them_processed(
    events: dict[str, list[Published]], redis: Redis
) -> None:
    answers = list(events.values())
    assert {len(answer) for answer in answers} == {1}
    rejected = [answer[0] for answer in answers[::2]]
    assert {
        name: (event.type, event.data["code"], event.data["field"]) for name, event in zip(BAD, rejected, strict=True)
    } == {name: (REJECTED, one.code, one.field) for name, one in BAD.items()}
    processed = [answer[0] for answer in answers[1::2]]
    assert {event.type for event in processed} == {PROCESSED}
    assert tuple(event.data["item_id"] for event in processed[: len(GOOD_IDS)]) == GOOD_IDS
    for one, event in zip(BAD.values(), rejected, strict=True):
        letter = DeadLetters(redis, KEYS).get(EntryId.parse(event.id))
        assert letter is not None
        assert letter.payload.startswith(payload(event))
        assert len(payload(event)) > MAX_SHOWN_BYTES - 4 or letter.payload == payload(event)
        check_payload(one, event, letter.payload)


def check_payload(one: Bad, event: Published, said: bytes) -> None:
    """Whether the event and its dead letter, which holds all of the message, say what was sent."""
    assert event.data["command_type"].isprintable()
    sent = one.fields.get(b"data")
    if sent is None:
        assert said == b"type=item.upsert key=k"
    elif one.code in ("unknown_model", "wrong_dimension", "empty_text"):  # it was read, and refused by the engine
        assert json.loads(said) == json.loads(sent)
    else:
        assert said == sent[:MAX_MESSAGE_BYTES]
        assert event.data["payload_bytes"] == len(sent)


def test_a_write_that_was_retried_is_rejected_once(redis: Redis, client: Client, owner_process: Owners) -> None:
    late = {b"data": b'{"id": "late", "text": "x"}', b"key": b"one key", b"expires_ms": b"1000"}
    for _ in range(3):
        redis.xadd(KEYS.commands, dict(late))
    owner_process().running()
    client.outcome(client.ingest({"id": "good", "text": "behind them"}))
    assert [event.type for event in published(redis)] == [REJECTED, PROCESSED]


@pytest.mark.parametrize("server", ["embedded"], indirect=True)
def test_odd_ids_stop_no_worker(redis: Redis, client: Client, owner_process: Owners) -> None:
    owner = owner_process().running()
    now_ms = time.time_ns() // 1_000_000
    for n, id_ in enumerate((f"{now_ms}-{2**64 - 1}", f"{now_ms + YEAR_MS}-0", f"{now_ms + YEAR_MS}-{2**64 - 1}")):
        data = json.dumps({"id": f"strange {n}", "text": f"text {n}"})
        redis.xadd(KEYS.commands, {"data": data, "reply_to": "0 nobody"}, id=id_)
        owner.until(lambda n=n: len(outcomes(published(redis))) == n + 1, f"{id_} to be answered")
        wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the stream to be trimmed")
    before = client.last_event()
    positions = client.ingest_many([{"id": f"good {n}", "text": f"text {n}"} for n in range(3)])
    outcome = client.outcome(positions[-1], after=before)
    assert (outcome["type"], outcome["data"]["duplicate_of"]) == (PROCESSED, "strange 2")
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the stream to be trimmed")
    assert [event.data["item_id"] for event in outcomes(published(redis))] == [
        *(f"strange {n}" for n in range(3)),
        *(f"good {n}" for n in range(3)),
    ]
    assert client.last_event().ms < now_ms + YEAR_MS, "events keep to the clock"
    assert owner.terminate() == 0
    owner_process("second").running()
    later = client.outcome(client.ingest({"id": "later", "text": "text 1"}), after=client.last_event())
    assert later["data"]["duplicate_of"] == "strange 1"


@pytest.mark.parametrize("reply_to", [b"999999999999 t", b"-1 t", b"\xff", b"1000 " + b"t" * 5000, "٣ t".encode()])
@pytest.mark.parametrize("server", ["embedded"], indirect=True)
def test_a_forged_reply_address_delays_no_reply(
    redis: Redis, client: Client, owner_process: Owners, reply_to: bytes
) -> None:
    owner_process().running()
    redis.xadd(KEYS.commands, {b"data": b'{"id": "forged", "text": "x"}', b"reply_to": reply_to})
    assert client.outcome(client.ingest({"id": "good", "text": "behind it"}), timeout_s=10)["type"] == PROCESSED
    assert [key for key in redis.keys("celery-task-meta-*") if b"-recommender-results-" not in key] == []
