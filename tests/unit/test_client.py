"""The producer's client, and a file that it sends, against a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from redis.exceptions import RedisError

from celery_recommender import Overloaded
from celery_recommender.broker.commands.encoding import command_fields, new_key
from celery_recommender.broker.events.outcomes import is_outcome
from celery_recommender.cli.input.checkpoint import Checkpoint
from celery_recommender.cli.input.sending import send_rows, upsert
from celery_recommender.cli.input.tally import Tally
from celery_recommender.client import Client
from celery_recommender.records import Items, MappingOptions, open_records, resolve_mapping
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.items import EntryId, parse_command
from tests.support.servers import Embedded, running
from tests.support.waiting import wait_until

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


def test_what_users_do_is_said_and_no_more(client: Client) -> None:
    client.record("a", "u", kind="rate", value=4, at=datetime(2026, 3, 1, tzinfo=UTC), collection="tickets", key="one")
    client.record_many([{"item": "b", "session": f"s{n}"} for n in range(3)], key=lambda one: one["session"], block=2)
    hits = [{"id": id_, "score": 0.5, "recommendation_id": "r1", "arm": "fresh"} for id_ in ("a", "b")]
    client.shown(hits, "u", scenario="home", at=datetime(2026, 3, 1, tzinfo=UTC))
    client.shown(["c"], session="s1", recommendation_id="r2", collection="tickets", key="three")
    client.record("c", "u", recommendation_id="r2")
    client.merge_user("u", "s0", key="two")
    client.erase_user("u", "tickets")
    client.erase_user(session="s1")
    entries: Any = client.redis.xrange(client.keys.commands)
    commands = [(fields[b"type"].decode(), json.loads(fields[b"data"])) for _, fields in entries]
    rated = {"item": "a", "user": "u", "kind": "rate", "value": 4, "time": "2026-03-01T00:00:00+00:00"}
    assert commands == [
        ("interaction.recorded", {**rated, "collection": "tickets"}),
        *(("interaction.recorded", {"item": "b", "session": f"s{n}"}) for n in range(3)),
        (
            "recommendation.shown",
            {
                "recommendation_id": "r1",
                "items": ["a", "b"],
                "user": "u",
                "scenario": "home",
                "arm": "fresh",
                "time": "2026-03-01T00:00:00+00:00",
                "collection": "default",
            },
        ),
        (
            "recommendation.shown",
            {"recommendation_id": "r2", "items": ["c"], "session": "s1", "collection": "tickets"},
        ),
        (
            "interaction.recorded",
            {"item": "c", "user": "u", "recommendation_id": "r2", "kind": "view", "collection": "default"},
        ),
        ("user.merged", {"user": "u", "session": "s0", "collection": "default"}),
        ("user.erased", {"user": "u", "collection": "tickets"}),
        ("user.erased", {"session": "s1", "collection": "default"}),
    ]
    keys = [fields[b"key"] for _, fields in entries]
    assert [*keys[:4], keys[5], keys[7]] == [b"one", b"s0", b"s1", b"s2", b"three", b"two"]
    for type_, (_, fields) in zip((type_ for type_, _ in commands), entries, strict=True):
        parse_command(type_, fields[b"data"])


def test_a_list_is_subscribed_to_and_no_more_is_said(client: Client) -> None:
    client.subscribe("a", collection="shop", scenario="page", key="one")
    client.unsubscribe(user="u")
    for which in ({}, {"item_id": "a", "user": "u"}):
        with pytest.raises(InvalidCommand):
            client.subscribe(**which)
    entries: Any = client.redis.xrange(client.keys.commands)
    assert [(fields[b"type"].decode(), json.loads(fields[b"data"])) for _, fields in entries] == [
        ("recommendations.subscribed", {"item": "a", "collection": "shop", "scenario": "page"}),
        ("recommendations.unsubscribed", {"user": "u", "collection": "default"}),
    ]
    assert entries[0][1][b"key"] == b"one"


@pytest.mark.parametrize("whose", [{}, {"user": "u", "session": "s"}, {"user": ""}])
def test_an_erasure_of_none_or_of_two_is_refused_before_it_is_sent(client: Client, whose: dict[str, str]) -> None:
    with pytest.raises(InvalidCommand):
        client.erase_user(**whose)
    assert client.redis.xlen(client.keys.commands) == 0


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
    with open_records(str(path)) as reader:
        items = Items(reader, resolve_mapping(reader, MappingOptions()))
        with pytest.raises(RedisError, match="sock"):
            list(send_rows(client, items, first, Tally(), upsert))
    second = Checkpoint(tmp_path / "sent", "identity", restart=False)
    assert (second.rows, second.position) == (0, None)
    assert second.key(1) == first.key(1)
    assert Checkpoint(tmp_path / "sent", "identity", restart=True).key(1) != first.key(1)


# -- bulk producers ----------------------------------------------------------------------------------------------------


def test_blocks_are_no_larger_than_a_batch(server: Embedded) -> None:
    client = Client(Settings(redis_url=server.url, batch_tokens=100, batch_items=8))
    commands = [command_fields("item.upsert", {"id": str(n), "text": "x" * length}, key="k") for n, length in TEXTS]
    blocks = list(client.pacing.blocks(commands, lambda fields: fields))
    assert [command for block in blocks for command in block] == commands
    assert [len(block) for block in blocks] == [8, 2, 1, 1]
    client.close()


TEXTS = [*((n, 1) for n in range(9)), (9, 300), (10, 500), (11, 1)]


@pytest.mark.parametrize(("length", "most", "fleet"), [(1, 16, {}), (300, 4, {}), (1, 32, {"fleet": {"window": 2}})])
def test_a_backfill_keeps_two_batches_waiting(
    server: Embedded, client: Client, length: int, most: int, fleet: dict[str, Any]
) -> None:
    """With an owner at work that decides nothing, it stops there, or when its fleet has enough, too; when room is made,
    it goes on."""
    client.redis.set(client.keys.status, json.dumps({"state": "running", **fleet}))
    sender = Client(Settings(redis_url=server.url, batch_tokens=200, batch_items=8))
    items = ({"id": str(n), "text": "x" * length} for n in range(40))
    last: list[Any] = []
    thread = threading.Thread(target=lambda: last.append(sender.backfill(items, key=lambda item: f"k {item['id']}")))
    thread.start()
    decided = 0
    seen = 0
    while decided < 40:
        there = wait_until(lambda: client.log.length(), "the next ones to be sent", 10)
        assert there <= most
        seen = max(seen, there)
        decided += client.redis.xtrim(client.keys.commands, maxlen=0, approximate=False)
    thread.join(10)
    assert not thread.is_alive()
    assert seen > most // 4
    assert last[0] == EntryId.parse(client.redis.xinfo_stream(client.keys.commands)["last-generated-id"].decode())
    sender.close()


def test_a_backfill_without_an_owner_piles_up_to_the_limit(server: Embedded, client: Client) -> None:
    sender = Client(Settings(redis_url=server.url, most_waiting=960))
    with pytest.raises(Overloaded, match="960 commands wait already"):
        sender.backfill(({"id": str(n), "text": "x"} for n in range(5000)), silent=True)
    assert client.log.length() == 960
    ((_, fields),) = client.redis.xrange(client.keys.commands, count=1)
    assert json.loads(fields[b"data"]) == {"id": "0", "text": "x", "silent": True}
    sender.close()


def test_a_question_that_nobody_answers_ends_in_time(client: Client) -> None:
    with pytest.raises(TimeoutError, match="the owner did not answer within"):
        client.search("a lamp", timeout_s=0.2)


def test_without_results_there_is_nothing_to_ask(server: Embedded) -> None:
    client = Client(Settings(redis_url=server.url, result_backend="disabled"))
    with pytest.raises(ConfigurationError, match="answers come through the result backend"):
        client.themes()
    client.close()


def test_keys_are_random_and_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for ms in (1_760_000_000_000, 1_760_000_000_001, 1_999_999_999_999):
        monkeypatch.setattr("time.time_ns", lambda ms=ms: ms * 1_000_000)
        some = {new_key() for _ in range(1000)}
        assert len(some) == 1000
        assert {(UUID(key).version, UUID(key).variant, UUID(key).int >> 80) for key in some} == {(7, RFC_4122, ms)}
        keys += sorted(some)
    assert keys == sorted(keys)
