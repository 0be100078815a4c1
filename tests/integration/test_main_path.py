"""Commands in, events out, through a real server and a real worker process."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
from redis import Redis

from celery_recommender.broker.redis.keys import GROUP
from celery_recommender.client import Client
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners
from tests.support.processes import REAL_MODEL_APP
from tests.support.servers import Server
from tests.support.streams import KEYS, PROCESSED, answered, outcomes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

TICKETS = (
    {"id": "T-1", "collection": "tickets", "text": "The screen stays black after login"},
    {"id": "T-2", "collection": "tickets", "text": "My invoice shows the wrong address"},
    {"id": "T-3", "collection": "tickets", "text": "the screen stays BLACK after login"},
    {"id": "T-4", "collection": "tickets", "text": "Black screen: the screen stays black after the login"},
)


def test_each_ticket_is_answered_once_in_order(client: Client, redis: Redis, owner_process: Owners) -> None:
    owner_process().running()
    positions = client.ingest_many(TICKETS)
    everything = answered(redis, positions)
    assert [event.id for event in everything] == sorted((event.id for event in everything), key=EntryId.parse)
    events = outcomes(everything)
    assert [event.type for event in events] == [PROCESSED] * 4
    assert [event.command for event in events] == [str(position) for position in positions]
    assert [event.data["item_id"] for event in events] == ["T-1", "T-2", "T-3", "T-4"]
    assert [event.data["band"] for event in events][:3] == ["new", "new", "duplicate"]


def test_an_event_says_all_that_is_promised(client: Client, owner_process: Owners) -> None:
    owner_process().running()
    client.ingest(TICKETS[0])
    event = client.outcome(client.ingest(TICKETS[2], key="T-3 once"))
    assert {name: event[name] for name in ("specversion", "source", "type", "subject", "datacontenttype")} == {
        "specversion": "1.0",
        "source": "/recommender/default",
        "type": PROCESSED,
        "subject": "T-3",
        "datacontenttype": "application/json",
    }
    data = event["data"]
    assert data.pop("timings").keys() == {"embed_ms", "decide_ms"}
    reasons = data.pop("reasons")
    assert [reason["code"] for reason in reasons] == ["identical_text"]
    assert data.pop("command")["key"] == "T-3 once"
    assert data == {
        "item_id": "T-3",
        "collection": "tickets",
        "revision": 1,
        "band": "duplicate",
        "duplicate_of": "T-1",
        "canonical_id": "T-1",
        "group": "g1",
        "matched_id": "T-1",
        "probability": 1.0,
        "similarity": 1.0,
        "explanation": reasons[0]["text"],
        "recommendations": [],
        "recommendation_id": None,
        "novelty": None,
        "truncated": False,
        "model": data["model"],
    }
    assert data["model"].startswith("deterministic@")


@pytest.mark.model
@pytest.mark.parametrize("server", ["embedded"], indirect=True)
def test_the_real_model_tells_paraphrases_from_other_tickets(
    client: Client, redis: Redis, owner_process: Owners
) -> None:
    owner_process(app=REAL_MODEL_APP).running()
    texts = {
        "T-1": "The screen stays black after login",
        "T-2": "My invoice shows the wrong address",
        "T-3": "After logging in the display remains black",
        "T-4": "the screen stays  BLACK after login",
    }
    positions = client.ingest_many({"id": id_, "text": text} for id_, text in texts.items())
    events = {event.data["item_id"]: event.data for event in outcomes(answered(redis, positions))}
    assert len(events) == 4
    assert events["T-1"]["model"].startswith("all-MiniLM-L6-v2@")
    assert events["T-3"]["matched_id"] == "T-1"
    assert events["T-3"]["similarity"] > 0.7 > 0.35 > events["T-2"]["probability"]
    assert events["T-4"]["duplicate_of"] == "T-1"


def test_a_bare_socket_is_a_producer(server: Server, client: Client, owner_process: Owners) -> None:
    owner_process().running()
    data = json.dumps({"id": "T-1", "text": "sent by hand"}).encode()
    words = [b"XADD", KEYS.commands.encode(), b"*", b"data", data]
    request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with connected(server.url) as connection, connection.makefile("rb") as replies:
        connection.sendall(request)
        assert replies.readline().startswith(b"$")
        position = EntryId.parse(replies.readline().strip().decode())
    assert client.outcome(position)["data"]["item_id"] == "T-1"


def test_what_is_committed_leaves_the_commands_stream(client: Client, redis: Redis, owner_process: Owners) -> None:
    owner = owner_process().running()
    positions = client.ingest_many({"id": f"i{n}", "text": f"text number {n}"} for n in range(50))
    answered(redis, positions)
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the commands stream to be trimmed")
    (group,) = redis.xinfo_groups(KEYS.commands)
    assert group["name"] == GROUP.encode()
    assert group["last-delivered-id"] == str(positions[-1]).encode()
    wait_until(lambda: (owner.status() or {}).get("position") == str(positions[-1]), "the status to say so")


def test_nothing_leaves_the_commands_stream_before_it_is_committed(
    client: Client, redis: Redis, owner_process: Owners
) -> None:
    positions = client.ingest_many({"id": f"i{n}", "text": f"text number {n}"} for n in range(50))
    assert redis.xlen(KEYS.commands) == 50
    owner = owner_process().running()
    answered(redis, positions)
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the commands stream to be trimmed")
    owner.kill()
    client.ingest_many({"id": f"j{n}", "text": f"text number {n}"} for n in range(50))
    assert redis.xlen(KEYS.commands) == 50


def test_an_erased_item_leaves_the_events_stream(client: Client, redis: Redis, owner_process: Owners) -> None:
    owner_process().running()
    client.ingest({"id": "secret", "text": "my name is Alice"})
    client.patch("secret", {"age": 40})
    client.ingest({"id": "other", "text": "the weather is fine"})
    answered(redis, [client.erase("secret")])

    def subjects() -> list[tuple[str, str]]:
        entries: list[tuple[bytes, dict[bytes, bytes]]] = redis.xrange(KEYS.events)
        return [(json.loads(fields[b"event"])["subject"], fields[b"type"].decode()) for _, fields in entries]

    wait_until(
        lambda: subjects() == [("other", PROCESSED), ("secret", "recommender.item.deleted.v1")],
        "only the deletion to be left of the item",
    )


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(parts.path)
        return connection
    return socket.create_connection((parts.hostname or "", parts.port or 0))
