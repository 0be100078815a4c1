"""Letters as values, and what the command line says to those who mistype."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from click.testing import CliRunner
from redis import Redis

from celery_recommender.broker.events.dead_letters import DeadLetters, Letter, NotReplayable
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.cli.operate.dead_letters import dead_letters
from recommender_engine.items import EntryId

KEYS = PartitionKeys.of("default")


def letter(payload: bytes, source: str = "stream", *, size: int | None = None) -> Letter:
    data: dict[str, Any] = {
        "code": "not_json",
        "source": source,
        "command_type": "item.upsert",
        "payload": base64.b64encode(payload).decode(),
        "payload_encoding": "base64",
        "payload_bytes": len(payload) if size is None else size,
    }
    return Letter(EntryId(7, 1), {"data": data})


@pytest.mark.parametrize("payload", [b"", b"\xff\x00", "é".encode()])
def test_the_payload_is_what_came(payload: bytes) -> None:
    assert letter(payload).whole_payload() == payload


@pytest.mark.parametrize(
    ("one", "broker", "why"),
    [
        (letter(b"abc", size=4), True, "7-1: only the first 3 of 4 bytes were kept"),
        (letter(b"{}", "celery"), False, "7-1: Celery's broker is no Redis"),
        (letter(b"not json", "celery"), True, "7-1: what came was no message of Celery's"),
        (letter(b"[1]", "celery"), True, "7-1: what came was no message of Celery's"),
        (letter(b'{"headers": 1}', "celery"), True, "7-1: what came was no message of Celery's"),
        (letter(b"[" * 100_000, "celery"), True, "7-1: what came was no message of Celery's"),
    ],
)
def test_what_cannot_be_sent_again_says_why(one: Letter, broker: bool, why: str) -> None:
    nowhere = Redis(host="192.0.2.1")  # nothing is sent, so nothing is connected
    with pytest.raises(NotReplayable, match=why):
        DeadLetters(nowhere, KEYS, nowhere if broker else None).replay(one)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drop"], "say which"),
        (["replay", "1-1", "--all"], "say which"),
        (["replay", "--all", "--reason", "not_json"], "say which"),
        (["show", "x"], "is no id"),
        (["drop", "1"], "is no id"),
        (["list", "--limit", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(dead_letters, arguments)
    assert done.exit_code == 2
    assert says in done.output
