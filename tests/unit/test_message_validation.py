"""Validation of Celery messages: any bytes give a message or a reason."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.message import Message

from celery_recommender.celery.messages.validation import Call, check_arguments, check_message, open_envelope
from recommender_engine.errors import InvalidCommand

QUEUE = "recommender.default"
TASKS = ("recommender.ingest",)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = ["task", "id", "root_id", "eta", "expires", "retries", "timelimit", "compression", "stamps", "group"]
EMBEDDED = ["callbacks", "errbacks", "chain", "chord"]


def envelope(headers: Any, body: Any, **changes: Any) -> bytes:
    value = {
        "body": body,
        "headers": headers,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "properties": {"body_encoding": "base64", "delivery_tag": "theirs"},
    }
    return json.dumps({**value, **changes}).encode()


def message_of(headers: Any, payload: Any) -> Message:
    return Message(
        body=json.dumps(payload).encode(),
        headers=headers,
        content_type="application/json",
        content_encoding="utf-8",
        accept={"application/json"},
    )


@settings(deadline=None)
@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidCommand):
        open_envelope(raw, QUEUE, "tag")


@settings(deadline=None)
@given(anything, anything, st.dictionaries(st.sampled_from(["properties", "content-type", "extra"]), anything))
def test_any_envelope_is_a_message_or_refused(headers: Any, body: Any, changes: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidCommand):
        opened = open_envelope(envelope(headers, body, **changes), QUEUE, "tag")
        assert opened["properties"]["delivery_tag"] == "tag"
        assert opened["properties"]["delivery_info"] == {"exchange": "", "routing_key": QUEUE}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), anything), anything | st.lists(anything, min_size=3, max_size=3))
def test_any_message_is_a_call_or_refused(headers: dict[str, Any], payload: Any) -> None:
    with contextlib.suppress(InvalidCommand):
        check_message(message_of({**headers, "task": TASKS[0]}, payload), TASKS)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(EMBEDDED), anything))
def test_what_follows_is_well_formed_or_refused(embed: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidCommand):
        check_message(message_of({"task": TASKS[0], "id": "a"}, [[], {}, embed]), TASKS)
        assert all(value is None or isinstance(value, list | dict) for value in embed.values())


def test_a_call_of_celery_s_own_passes() -> None:
    link = {"task": "project.note", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    body = [[{"id": "a"}], {"key": "k"}, {"callbacks": [link], "errbacks": None, "chain": None, "chord": None}]
    headers = {
        "task": TASKS[0],
        "id": "a b: c",
        "eta": "2026-03-01T09:30:00+00:00",
        "timelimit": [None, None],
        "retries": 0,
        "group": None,
        "stamps": {},
        "ignore_result": False,
    }
    raw = envelope(headers, base64.b64encode(json.dumps(body).encode()).decode())
    opened = open_envelope(raw, QUEUE, "tag")
    assert opened.raw == raw
    assert check_message(message_of(opened["headers"], body), TASKS) == Call(TASKS[0], body[0], {"key": "k"})


def test_arguments_must_fit() -> None:
    def run(data: dict[str, Any], key: str | None = None) -> None:
        """A task."""

    check_arguments(Call("t", [{}], {"key": "k"}), run)
    with pytest.raises(InvalidCommand, match="t: missing a required argument: 'data'"):
        check_arguments(Call("t", [], {}), run)
