"""A key names one command of one collection: its repeat has no effect, and another command under it is refused."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from celery_recommender.owner.continuity.stream_keeper import _Decided
from celery_recommender.owner.delivery.replies import command_key, reply_address, resolve_reply
from recommender_engine import Entry, Event, Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import RefuseMessage, rejected_command
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.items.repeats import digest_of
from tests.support.engine import Log, data_of, lines, opened

SHOP = "the card payment was declined at the shop"
WEATHER = "heavy rain is expected in the north"


def codes(events: list[Event]) -> list[str]:
    return [data_of(event).get("code", data_of(event)["type"].split(".")[-2]) for event in events]


def told(engine: Recommender) -> list[tuple[str, str]]:
    """Who waits, and for what."""
    replies = engine.outbox.replies(0, 100)
    return [(reply.reply_to, json.loads(reply.outcome.event)["data"].get("code", "done")) for reply in replies]


# -- of one collection -------------------------------------------------------------------------------------------------


def test_collections_that_use_the_same_key_do_not_affect_each_other(engine: Recommender, log: Log) -> None:
    events = engine.process(
        [
            log.upsert("a", SHOP, collection="one", key="1", reply_to="of one"),
            log.upsert("b", WEATHER, collection="other", key="1", reply_to="of the other"),
            log.upsert("b", WEATHER, collection="other", key="1"),
        ]
    )
    assert [(data_of(event)["collection"], data_of(event)["item_id"]) for event in events] == [
        ("one", "a"),
        ("other", "b"),
    ]
    assert [json.loads(reply.outcome.event)["data"]["item_id"] for reply in engine.outbox.replies(0, 10)] == ["a", "b"]
    of_one, of_other = engine.outcome("1", "one"), engine.outcome("1", "other")
    assert of_one is not None
    assert of_other is not None
    assert (of_one["data"]["item_id"], of_other["data"]["item_id"]) == ("a", "b")
    assert engine.outcome("1", "third") is None
    with pytest.raises(InvalidCommand, match="name the collection"):
        engine.outcome("1")


def test_every_kind_of_command_has_its_key_in_its_collection(engine: Recommender, log: Log) -> None:
    def of(collection: str) -> list[Entry]:
        named: dict[str, Any] = {"collection": collection}
        return [
            log.add("collection.configured", {**named, "settings": {}}, key="k0"),
            log.upsert("a", SHOP, key="k1", **named),
            log.upsert("b", SHOP, key="k2", **named),
            log.patch("a", {"x": 1}, key="k3", **named),
            log.feedback("a", "different", "b", key="k4", **named),
            log.delete("a", key="k5", **named),
            log.erase("b", key="k6", **named),
        ]

    assert codes(engine.process(of("one"))) == codes(engine.process(of("other")))
    assert engine.process(of("one")) == engine.process(of("other")) == []


# -- the same command, and another -------------------------------------------------------------------------------------


def test_a_repeat_gives_the_first_outcome_also_after_a_restart(tmp_path: Path, log: Log) -> None:
    engine = opened(tmp_path)
    (first,) = engine.process([log.upsert("a", SHOP, key="k", reply_to="one")])
    assert engine.process([log.upsert("a", SHOP, key="k", reply_to="two")]) == []
    engine.close()
    engine = opened(tmp_path)
    assert engine.process([log.upsert("a", SHOP, key="k", reply_to="three")]) == []
    assert [(reply.reply_to, reply.outcome.id) for reply in engine.outbox.replies(0, 10)] == [
        ("one", first.id),
        ("two", first.id),
        ("three", first.id),
    ]
    engine.close()


def test_another_command_under_a_key_is_refused_and_the_first_outcome_stays(engine: Recommender, log: Log) -> None:
    (first,) = engine.process([log.upsert("a", SHOP, key="k")])
    others = [
        log.upsert("a", WEATHER, key="k", reply_to="text"),
        log.upsert("b", SHOP, key="k", reply_to="id"),
        log.upsert("a", SHOP, key="k", reply_to="version", version=2),
        log.upsert("a", SHOP, key="k", reply_to="silence", silent=True),
        log.delete("a", key="k", reply_to="type"),
    ]
    events = engine.process(others)
    assert codes(events) == ["key_reused"] * 5
    assert [data_of(event)["command"]["id"] for event in events] == [str(entry.id) for entry in others]
    assert "key of its own" in data_of(events[0])["message"]
    assert json.loads(data_of(events[0])["payload"])["text"] == WEATHER
    assert told(engine) == [(name, "key_reused") for name in ("text", "id", "version", "silence", "type")]
    found, view = engine.outcome("k"), engine.get("a")
    assert found is not None
    assert view is not None
    assert (found["id"], view.text, view.revision, engine.get("b")) == (str(first.id), SHOP, 1, None)
    assert engine.process([log.upsert("a", SHOP, key="k")]) == [], "the repeat of the first is one still"


def test_it_is_the_same_in_one_batch(log: Log) -> None:
    entries = [
        log.upsert("a", SHOP, key="k"),
        log.upsert("a", WEATHER, key="k"),
        log.upsert("a", SHOP, key="k"),
        log.upsert("c", WEATHER, key="k", collection="other"),
    ]
    together, apart = opened(), opened()
    events = together.process(entries)
    assert lines(events) == lines([event for entry in entries for event in apart.process([entry])])
    assert codes(events) == ["processed", "key_reused", "processed"]


@pytest.mark.parametrize(
    "again",
    [
        '{ "text" : "x", "id" : "a", "attributes" : {"two": 2, "one": 1}, "timestamp": "2026-01-01T00:00:00Z" }',
        '{"id":"a","text":"\\u0078","timestamp":"2026-01-01T00:00:00Z","attributes":{"one":1,"two":2},"silent":false}',
        '{"id":"a","timestamp":"2026-01-01T00:00:00+00:00","text":"x","fields":null,"attributes":{"one":1,"two":2}}',
    ],
    ids=["order and space", "escapes and defaults", "another notation"],
)
def test_how_a_command_is_written_makes_no_difference(engine: Recommender, log: Log, again: str) -> None:
    said = '{"id":"a","text":"x","timestamp":"2026-01-01T00:00:00Z","attributes":{"one":1,"two":2}}'
    engine.process([log.add("item.upsert", said.encode(), key="k")])
    assert engine.process([log.add("item.upsert", again.encode(), key="k")]) == []


@pytest.mark.parametrize(("one", "other"), [(1e308, 1e300), (-1e39, -1e40), (5e-324, 1e-320), (1e-44, 1.2e-44)])
def test_vectors_outside_the_range_of_a_float32_are_distinguished(log: Log, one: float, other: float) -> None:
    said, else_said = log.upsert("a", "x", vector=[one, 1.0]), log.upsert("a", "x", vector=[other, 1.0])
    assert digest_of(said) != digest_of(else_said)
    assert digest_of(said) == digest_of(log.upsert("a", "x", vector=[one, 1.0]))


def test_the_two_forms_of_a_vector_are_the_same_vector(log: Log) -> None:
    vector = [0.25, 0.1, -1.5]
    as_bytes = base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
    one, other = log.upsert("a", "x", vector=vector), log.upsert("a", "x", vector=as_bytes)
    assert digest_of(one) == digest_of(other) != digest_of(log.upsert("a", "x", vector=[0.25, 0.1, -1.25]))


# -- rejected ones -----------------------------------------------------------------------------------------------------


def test_the_repeat_of_a_rejected_command_gets_the_same_outcome(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, vector=[1.0, 2.0], key="k", reply_to="one")])
    assert engine.process([log.upsert("a", SHOP, vector=[1.0, 2.0], key="k", reply_to="two")]) == []
    assert codes(engine.process([log.upsert("a", SHOP, key="k", reply_to="three")])) == ["key_reused"]
    assert told(engine) == [("one", "wrong_dimension"), ("two", "wrong_dimension"), ("three", "key_reused")]


def test_a_command_that_cannot_be_read_takes_the_key_from_no_collection(engine: Recommender, log: Log) -> None:
    broken = b'{"id":"a","collection":"one","text":'
    assert codes(engine.process([log.add("item.upsert", broken, key="k")])) == ["not_json"]
    assert engine.process([log.add("item.upsert", broken, key="k", reply_to="again")]) == []
    assert codes(engine.process([log.add("item.upsert", b"[]", key="k")])) == ["wrong_type"], "its own fault is told"
    mended = log.add("item.upsert", broken + b'"now whole"}', key="k")
    assert codes(engine.process([mended])) == ["processed"]
    assert told(engine) == [("again", "not_json")]
    found = engine.outcome("k", "one")
    assert found is not None
    assert found["data"]["item_id"] == "a"


def test_a_payload_is_not_shown_to_another_collection(engine: Recommender, log: Log) -> None:
    engine.process([log.add("item.upsert", b'{"id":"a","collection":"one","txt":"secret"}', key="k")])
    assert engine.outcome("k", "other") is None
    found = engine.outcome("k", "one")
    assert found is not None
    assert found["data"]["code"] == "unknown_field"


def test_what_is_refused_unread_is_refused_once(engine: Recommender, log: Log) -> None:
    """A write that was retried, of a command that nobody may decide: its second copy is no new command."""

    def refused(entry: Entry) -> Entry:
        error = InvalidCommand("quarantined", "ends every process")
        return replace(entry, original=entry.command, command=rejected_command(error, b"{}", "item.upsert"))

    assert codes(engine.process([refused(log.upsert("a", SHOP, key="k"))])) == ["quarantined"]
    assert engine.process([log.upsert("a", SHOP, key="k")]) == []
    assert codes(engine.process([log.upsert("b", SHOP, key="k")])) == ["key_reused"]


def test_a_refusal_of_the_celery_door_is_known_by_its_key_alone(engine: Recommender, log: Log) -> None:
    def refusal(payload: str) -> Entry:
        data = {
            "source": "celery",
            "code": "not_json",
            "message": "no",
            "payload": payload,
            "payload_encoding": "utf-8",
            "payload_bytes": 1,
        }
        return log.add(RefuseMessage.type, data, key="celery 1")

    assert codes(engine.process([refusal("x")])) == ["not_json"]
    assert engine.process([refusal("x, delivered again")]) == []


def test_an_erasure_leaves_no_digest_of_what_was_erased(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, key="k"), log.upsert("b", WEATHER, key="k2"), log.erase("a", key="k3")])
    digests = dict(engine._store._db.execute("SELECT key, digest FROM keys"))
    assert digests["k"] == b""
    assert len(digests["k2"]) == 16
    assert engine.process([log.upsert("a", SHOP, key="k")]) == [], "it is a repeat still"
    assert engine.process([log.upsert("a", WEATHER, key="k")]) == [], "and so is any other body"


def test_keys_pass_with_stream_time_in_each_collection(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, collection="one", key="k")])
    engine.process([log.upsert("a", SHOP, collection="other", key="k", later_ms=KEY_WINDOW_MS // 2)])
    later = log.upsert("a", WEATHER, collection="one", key="k", later_ms=KEY_WINDOW_MS // 2)
    assert codes(engine.process([later])) == ["processed"]
    assert codes(engine.process([log.upsert("a", WEATHER, collection="other", key="k")])) == ["key_reused"]


# -- at the edge -------------------------------------------------------------------------------------------------------


def fields_of(collection: str, text: str) -> dict[bytes, bytes]:
    return {b"data": json.dumps({"collection": collection, "id": "a", "text": text}).encode(), b"key": b"k"}


def test_a_command_that_was_never_read_is_distinguished_from_one_with_the_same_key(
    engine: Recommender, log: Log
) -> None:
    """After a stream was lost, what came below the position is decided unless its own collection has decided it."""
    entry = log.upsert("a", SHOP, collection="one", key="k")
    engine.process([entry])
    decided = _Decided(engine, anew=True)
    assert decided(entry.id, fields_of("one", SHOP))
    assert not decided(entry.id, fields_of("other", SHOP))
    assert not decided(entry.id, fields_of("one", WEATHER))


def test_a_list_of_items_is_answered_with_its_own_outcomes(engine: Recommender, log: Log) -> None:
    engine.process(
        [
            log.upsert("a", SHOP, collection="one", key=command_key("task", 0)),
            log.upsert("b", SHOP, collection="other", key=command_key("task", 1)),
            log.upsert("c", SHOP, collection="one", key=command_key("task", 2), reply_to=reply_address("task", 3)),
            log.upsert("x", SHOP, collection="strange", key=command_key("task", 0)),
        ]
    )
    (reply,) = engine.outbox.replies(0, 10)
    job = resolve_reply(reply, engine)
    assert [one["item_id"] for one in job.outcomes] == ["a", "b", "c"]
