"""The producer's client, and a file that it sends, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from recommender.items import parse_command
from tests.support.servers import Embedded, running
from workers.cli.sending import Checkpoint, send_rows
from workers.client import Client, is_outcome
from workers.records import MappingOptions, open_records, resolve_mapping
from workers.settings import Settings

pytestmark = pytest.mark.server

PROCESSED = "recommender.item.processed.v1"
BACKFILLED = "recommender.items.backfilled.v1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path / "server")
    with running(embedded):
        yield embedded


@pytest.fixture
def client(server: Embedded) -> Iterator[Client]:
    client = Client(Settings(redis_url=server.url))
    yield client
    client.close()


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (BACKFILLED, {}),
        ("recommender.item.deleted.v1", {"expired": True}),
        ("recommender.item.revised.v1", {"cause": "item_expired"}),
        ("recommender.group.changed.v1", {"change": "left"}),
    ],
)
def test_what_falls_due_with_a_command_is_no_outcome(client: Client, type_: str, said: dict[str, Any]) -> None:
    """It has that command as its cause, and comes first."""
    position = client.ingest({"id": "a", "text": "b"})
    for number, (event_type, more) in enumerate(((type_, said), (PROCESSED, {}))):
        event: dict[str, Any] = {"type": event_type, "data": {"command": {"id": str(position), "key": None}, **more}}
        client.redis.xadd(client.keys.events, {"event": json.dumps(event)}, id=f"{position.ms}-{number + 1}")
    assert client.outcome(position)["type"] == PROCESSED


@pytest.mark.parametrize("expired", [{}, {"expired": False}])
def test_a_deletion_by_command_is_an_outcome(expired: dict[str, bool]) -> None:
    assert is_outcome({"type": "recommender.item.deleted.v1", "data": expired})


def test_feedback_says_what_was_given_and_no_more(client: Client) -> None:
    client.feedback("b", "different", "a", collection="tickets", by="jo", key="one")
    client.feedback("b", "wrong")
    entries: Any = client.redis.xrange(client.keys.commands)
    commands = [(fields[b"type"], json.loads(fields[b"data"])) for _, fields in entries]
    assert commands == [
        (b"feedback.given", {"id": "b", "collection": "tickets", "other": "a", "answer": "different", "by": "jo"}),
        (b"feedback.given", {"id": "b", "collection": "default", "answer": "wrong"}),
    ]
    assert entries[0][1][b"key"] == b"one"
    for _, fields in entries:
        parse_command("feedback.given", fields[b"data"])


def test_a_summary_alone_does_not_end_the_wait(client: Client) -> None:
    position = client.ingest({"id": "a", "text": "b"})
    event = {"type": BACKFILLED, "data": {"command": {"id": str(position), "key": None}}}
    client.redis.xadd(client.keys.events, {"event": json.dumps(event)}, id=f"{position.ms}-1")
    with pytest.raises(TimeoutError, match=str(position)):
        client.outcome(position, timeout_s=0.2)


def test_the_run_has_its_id_before_the_first_row_is_sent(server: Embedded, client: Client, tmp_path: Path) -> None:
    """Whatever happens while the first block is under way, the next run sends it under the same keys."""
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "a", "text": "b"}\n')
    client.log.length()
    server.stop()
    first = Checkpoint(tmp_path / "sent", "identity", restart=False)
    with open_records(str(path)) as reader, pytest.raises(RedisError, match="sock"):
        list(send_rows(client, reader, resolve_mapping(reader, MappingOptions()), first, silent=False))
    second = Checkpoint(tmp_path / "sent", "identity", restart=False)
    assert (second.rows, second.position) == (0, None)
    assert second.key(1) == first.key(1)
    assert Checkpoint(tmp_path / "sent", "identity", restart=True).key(1) != first.key(1)
