"""What an event shows of a message that was rejected, and what its dead letter holds besides."""

from __future__ import annotations

import base64
import json
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CommandRejected, Entry, EntryId, RefuseMessage, RejectedCommand
from recommender_engine.pipeline.outcomes.rejections import refused_elsewhere, rejected
from recommender_engine.store import SqliteStore
from tests.support.engine import Log, opened

MOST = 8192


def told(payload: bytes) -> tuple[CommandRejected, bytes | None]:
    error = InvalidCommand("not_json", "x" * 10_000, "f" * 10_000)
    command = RejectedCommand(error, payload, len(payload), "t" * 10_000)
    return rejected(Entry(EntryId(7, 0), command), command)


def shown(data: CommandRejected) -> bytes:
    return base64.b64decode(data.payload) if data.payload_encoding == "base64" else data.payload.encode()


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.integers(1, 200))
def test_an_event_shows_the_beginning_and_the_letter_holds_all(piece: bytes, times: int) -> None:
    payload = piece * times
    data, rest = told(payload)
    if len(payload) <= MOST:
        assert (shown(data), rest) == (payload, None)
    else:
        assert payload.startswith(shown(data))
        assert MOST - 4 < len(shown(data)) <= MOST
        assert rest == payload
    assert data.payload_bytes == len(payload)
    assert len(data.model_dump_json()) < 4 * MOST / 3 + 2500, "no character takes more than a third above its bytes"


@pytest.mark.parametrize(
    ("payload", "encoding"),
    [
        (b"plain text", "utf-8"),
        (b'{"id": "a"}', "utf-8"),
        ("é".encode() * 10_000, "utf-8"),
        (b"\x01" * 10_000, "base64"),
        (b"\xff", "base64"),
        (b"x" * 8191 + "é".encode() + b"tail", "utf-8"),
    ],
)
def test_as_text_or_in_base64_whichever_is_shorter(payload: bytes, encoding: str) -> None:
    assert told(payload)[0].payload_encoding == encoding


@pytest.mark.parametrize("payload", ["x" * 100_000, base64.b64encode(b"\x00" * 100_000).decode(), "no base64 " * 2000])
def test_what_another_door_was_handed_is_kept_in_the_same_way(payload: str) -> None:
    encoding = "utf-8" if payload.startswith("x") else "base64"
    said = {"source": "celery", "code": "not_json", "message": "m", "payload": payload, "payload_encoding": encoding}
    command = RefuseMessage.model_validate({**said, "payload_bytes": 200_000})
    data, rest = refused_elsewhere(Entry(EntryId(7, 0), command), command)
    assert rest is not None
    assert rest.startswith(shown(data))
    assert len(shown(data)) <= MOST
    assert data.payload_bytes == 200_000


def test_the_store_keeps_what_letters_hold_within_bounds_and_forgets_it_with_the_item() -> None:
    log = Log()
    with closing(opened()) as engine:
        for id_ in ("gone", "stays"):
            engine.process([log.add("item.upsert", json.dumps({"id": id_, "colour": "x" * 9000}).encode())])
        engine.process([log.erase("gone")])
        (kept,) = [row for row in engine.outbox.after(EntryId(0, 0), 10) if engine.outbox.payloads.get(row.id)]
        assert "stays" in kept.event
        before = engine.outbox.payloads.bytes()
        assert 9000 < before < 10_000
        assert engine.prune(0, EntryId(0, 0)) == 0
        engine.process([log.tick(later_ms=10**9)])
        engine.prune(0, engine.last_event)
        assert engine.outbox.payloads.bytes() == 0


def test_the_oldest_go_first() -> None:
    payloads = SqliteStore().outbox.payloads
    for n in range(10):
        payloads.keep(EntryId(n, 0), b"x" * 100)
    assert payloads.forget_old(0, 100, most_bytes=350) == 7
    assert [n for n in range(10) if payloads.get(EntryId(n, 0))] == [7, 8, 9]
    assert payloads.forget_old(8, 1, most_bytes=350) == 1
    assert payloads.forget_old(0, 100, most_bytes=350) == 0
