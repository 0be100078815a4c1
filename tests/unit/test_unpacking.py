"""Compressed bodies and messages of protocol 1: the same as others, or refused at a bound."""

from __future__ import annotations

import base64
import bz2
import json
import lzma
import tracemalloc
import zlib
from typing import Any

import pytest
from celery import Celery

from celery_recommender.celery.messages.unpacking import decompressed
from celery_recommender.celery.messages.validation import MOST_BYTES, Call, check_message, open_envelope
from celery_recommender.celery.tasks.stream_producer import SentTask
from recommender_engine.errors import InvalidCommand

TASKS = ("recommender.ingest",)
BODY = json.dumps([[{"id": "a", "text": "t"}], {}, {"callbacks": None, "errbacks": None, "chain": None}]).encode()
KINDS = {
    "application/x-gzip": zlib.compress,
    "application/x-bz2": bz2.compress,
    "application/x-lzma": lzma.compress,
}


def opened(body: bytes, headers: dict[str, Any]) -> Any:
    raw = json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "headers": headers,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "properties": {"body_encoding": "base64"},
        }
    ).encode()
    return open_envelope(raw, "recommender.default", "tag")


def called(envelope: Any) -> Call:
    class Message:
        headers = envelope["headers"]
        properties = envelope["properties"]

        def decode(self) -> Any:
            return json.loads(base64.b64decode(envelope["body"]))

    return check_message(Message(), TASKS)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_call_is_the_same_call(kind: str) -> None:
    plain = opened(BODY, {"task": TASKS[0], "id": "1"})
    packed = opened(KINDS[kind](BODY), {"task": TASKS[0], "id": "1", "compression": kind})
    assert called(packed) == called(plain) == Call(TASKS[0], [{"id": "a", "text": "t"}], {})
    assert "compression" not in packed["headers"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_costs_no_more_than_its_bound(kind: str) -> None:
    bomb = KINDS[kind](b"\0" * (4 * MOST_BYTES))
    tracemalloc.start()
    with pytest.raises(InvalidCommand, match="holds more than") as caught:
        decompressed(bomb, kind, 1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "too_large"
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (BODY, "application/x-gzip", "invalid_value"),
        (BODY, "application/x-bz2", "invalid_value"),
        (BODY, "application/x-lzma", "invalid_value"),
        (zlib.compress(BODY)[:-6], "application/x-gzip", "invalid_value"),
        (bz2.compress(BODY)[:-6], "application/x-bz2", "invalid_value"),
        (BODY, "application/x-brotli", "not_accepted"),
        (BODY, {"a": 1}, "not_accepted"),
    ],
)
def test_what_cannot_be_decompressed_is_refused(body: bytes, kind: Any, code: str) -> None:
    with pytest.raises(InvalidCommand, match="compress") as caught:
        decompressed(body, kind, MOST_BYTES)
    assert caught.value.code == code


def message_of_protocol_1(**options: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    app = Celery("old", set_as_current=False)
    made = app.amqp.as_task_v1("the id", TASKS[0], [{"id": "a"}], {"key": "k"}, **options)
    return made.body, made.headers, made.properties


def test_protocol_1_is_read_as_protocol_2() -> None:
    link = {"task": "project.note", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    body, headers, _ = message_of_protocol_1(countdown=60, callbacks=[link], group_id="g")
    envelope = opened(json.dumps(body).encode(), headers)
    assert called(envelope) == Call(TASKS[0], [{"id": "a"}], {"key": "k"})
    found = envelope["headers"]
    assert (found["task"], found["id"], found["group"], found["retries"]) == (TASKS[0], "the id", "g", 0)
    assert found["eta"] == body["eta"]
    assert json.loads(base64.b64decode(envelope["body"]))[2]["callbacks"] == [link]


def test_a_call_of_an_app_with_protocol_1_goes_into_the_stream() -> None:
    body, headers, properties = message_of_protocol_1(expires=60)
    sent = SentTask(body, headers, properties)
    assert (sent.task_id, sent.args, sent.kwargs) == ("the id", [{"id": "a"}], {"key": "k"})
    assert sent.expires_ms is not None
    assert json.loads(sent.request)["id"] == "the id"


@pytest.mark.parametrize("body", [{"task": 7, "id": "x"}, {"task": "recommender.ingest"}, [1], "text"])
def test_what_is_no_call_of_protocol_1_is_refused_as_before(body: Any) -> None:
    with pytest.raises(InvalidCommand, match="protocol 2"):
        called(opened(json.dumps(body).encode(), {}))
