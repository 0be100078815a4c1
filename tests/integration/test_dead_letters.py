"""What was rejected is a dead letter, once, until somebody sends it again or drops it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from celery_recommender.broker.events.dead_letters import DeadLetters, NotReplayable
from celery_recommender.client import Client
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners, Run
from tests.support.streams import KEYS, PROCESSED, REJECTED, outcomes, published
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

NOT_UTF8 = b'{"id": "raw", "text": "\xff\xfe"}'


def send(redis: Redis, data: bytes, **fields: bytes) -> EntryId:
    others = {name.encode(): value for name, value in fields.items()}
    position: Any = redis.xadd(KEYS.commands, {b"data": data, **others})
    return EntryId.parse(position.decode())


def ids_of(redis: Redis) -> list[str]:
    return [str(letter.id) for letter in reversed(list(DeadLetters(redis, KEYS).newest_first()))]


def decided(client: Client, position: EntryId) -> dict[str, Any]:
    return client.outcome(position)["data"]


def test_list_show_replay_drop(redis: Redis, client: Client, owner_process: Owners, recommender: Run) -> None:
    owner_process().running()
    send(redis, NOT_UTF8, key=b"first")
    misspelt = json.dumps({"id": "T-1", "collection": "tickets", "txet": "x"}).encode()
    send(redis, misspelt)
    decided(client, send(redis, b"null"))

    letters = json.loads(recommender("dead-letters", "list", "--json").stdout)
    assert [letter["code"] for letter in letters] == ["wrong_type", "unknown_field", "not_utf8"]
    rejections = [event.data for event in published(redis) if event.type == REJECTED]
    assert [{**letter, "id": None, "time": None} for letter in reversed(letters)] == [
        {"id": None, "time": None, **data} for data in rejections
    ]
    assert [letter["id"] for letter in reversed(letters)] == [event.id for event in published(redis)]

    raw = json.loads(recommender("dead-letters", "show", letters[2]["id"], "--json").stdout)
    assert raw["payload_encoding"] == "base64"
    found = DeadLetters(redis, KEYS).get(EntryId.parse(raw["id"]))
    assert found is not None
    assert found.payload == NOT_UTF8
    shown = recommender("dead-letters", "show", letters[1]["id"]).stdout
    assert "unknown_field" in shown
    assert '"txet": "x"' in shown
    assert "T-1" in recommender("dead-letters", "list", "--reason", "unknown_field").stdout

    # Rejected once more, it is a new letter; the old one is gone, and its key does not stand in the way.
    again = json.loads(recommender("dead-letters", "replay", letters[2]["id"], "--json").stdout)
    assert again == {"replayed": 1, "by_reason": {"not_utf8": 1}, "kept": []}
    wait_until(lambda: len(ids_of(redis)) == 3, "the rejection of what was sent again")
    assert letters[2]["id"] not in ids_of(redis)

    dropped = json.loads(recommender("dead-letters", "drop", "--reason", "wrong_type", "--json").stdout)
    assert dropped == {"dropped": 1, "by_reason": {"wrong_type": 1}}
    assert "dropped: 2 (" in recommender("dead-letters", "drop", "--all").stdout
    assert "no dead letters" in recommender("dead-letters", "list").stdout
    assert "there is no dead letter 1-1" in recommender("dead-letters", "show", "1-1", status=1).stderr


def test_a_replay_decides_what_can_be_decided_by_then(redis: Redis, client: Client, owner_process: Owners) -> None:
    owner_process().running()
    item = json.dumps({"id": "late", "text": "as good as any"}).encode()
    decided(client, send(redis, item, expires_ms=b"1", key=b"k"))
    letters = DeadLetters(redis, KEYS)
    (letter,) = letters.newest_first()
    assert letter.code == "expired"

    letters.replay(letter)
    letters.replay(letter)  # by two people at one moment
    wait_until(lambda: len(outcomes(published(redis))) == 2, "what was sent again")
    answer = outcomes(published(redis))[-1]
    assert (answer.type, answer.data["item_id"]) == (PROCESSED, "late")
    assert list(letters.newest_first()) == []
    wait_until(lambda: redis.xlen(KEYS.commands) == 0, "the second replay to have no effect")
    assert len(published(redis)) == 2


def test_what_was_cut_is_not_sent_again(redis: Redis, client: Client, owner_process: Owners) -> None:
    owner_process().running()
    decided(client, send(redis, b'"' + b"x" * 300_000 + b'"'))
    letters = DeadLetters(redis, KEYS)
    (letter,) = letters.newest_first()
    with pytest.raises(NotReplayable, match="only the first 262144 of 300002 bytes"):
        letters.replay(letter)
    assert list(letters.newest_first()) == [letter]


def test_erasing_an_item_takes_its_letters_along(redis: Redis, client: Client, owner_process: Owners) -> None:
    owner_process().running()
    send(redis, b'{"id": "gone", "text": "personal", "colour": 1}')
    client.ingest({"id": "gone", "text": "personal too"})
    decided(client, send(redis, b'{"id": "stays", "colour": 1}'))
    assert len(ids_of(redis)) == 2
    client.outcome(client.erase("gone"))
    wait_until(lambda: len(ids_of(redis)) == 1, "the letter to go")
    (letter,) = DeadLetters(redis, KEYS).newest_first()
    assert letter.data["item_id"] == "stays"
    assert b"personal" not in b"".join(fields[b"event"] for _, fields in redis.xrange(KEYS.dead_letters))


def test_they_are_bounded_and_never_doubled(redis: Redis, client: Client, owner_process: Owners) -> None:
    """The server forgets the end of the events stream; what is published again makes no letter a second time."""
    owner_process(changes={"dead_letters_max_length": 10}).running()
    positions = [send(redis, b"no %d" % n) for n in range(1000)]
    decided(client, positions[-1])
    kept = ids_of(redis)
    assert 10 <= len(kept) <= 200, "approximately, in whole nodes of the stream"
    assert len(set(kept)) == len(kept)

    DeadLetters(redis, KEYS).drop([EntryId.parse(kept[0])])
    redis.delete(KEYS.events)
    wait_until(lambda: len(published(redis)) == len(positions), "the events to be published again")
    assert ids_of(redis) == kept[1:]
