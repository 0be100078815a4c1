"""Who may give a command of owners and movers: a proof over the whole entry, which only they can make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.commands.log import decode
from celery_recommender.broker.coordination.proofs import Secrets
from recommender_engine.items import EntryId, RejectedCommand
from recommender_engine.items.commands import COMMAND_TYPES
from recommender_engine.items.limits import KEY_WINDOW_MS
from tests.support.proofs import SECRET, Proving

NOW_MS = 1_700_000_000_000
NOW = EntryId(NOW_MS, 0)
STREAM = "recommender:default:commands"
SECRETS = Secrets(STREAM, ("another", SECRET))
PRIVILEGED = sorted(name for name, model in COMMAND_TYPES.items() if model.privileged)


def signed(type_: str = "clock.ticked", data: Any = None, **more: Any) -> dict[bytes, bytes]:
    fields = {**command_fields(type_, data or {}, key="k"), **more}
    return {name.encode(): str(value).encode() for name, value in Proving(NOW_MS).signed(fields).items()}


@pytest.mark.parametrize("model", COMMAND_TYPES.values(), ids=COMMAND_TYPES)
def test_every_command_says_whether_it_is_privileged(model: Any) -> None:
    assert isinstance(vars(model)["privileged"], bool)


def test_what_destroys_or_switches_is_privileged() -> None:
    assert set(PRIVILEGED) >= {
        "clock.ticked",
        "collection.moved",
        "collection.records",
        "command.quarantined",
        "message.refused",
    }


@pytest.mark.parametrize("type_", PRIVILEGED)
def test_without_a_proof_it_costs_one_message(type_: str) -> None:
    data = b'{"any": "thing"}'
    for fields in (
        {b"type": type_.encode(), b"data": data, b"key": b"k"},
        {b"type": type_.encode(), b"data": data, b"key": b"k", b"proof": b"x"},
        {b"type": type_.encode(), b"data": data, b"key": b"k", b"proof": b"%d.%b" % (NOW_MS, b"0" * 64)},
    ):
        found = decode(NOW, fields, NOW_MS, permits=SECRETS.permits)
        assert isinstance(found.command, RejectedCommand)
        assert (found.command.error.code, found.command.payload, found.key) == ("not_permitted", data, None)


def test_with_one_it_is_decided() -> None:
    fields = signed("command.quarantined", {"entry": "1-1", "reason": "it kills"}, via="a,b", reply_to="0 task")
    assert SECRETS.permits(NOW, fields)
    assert not isinstance(decode(NOW, fields, NOW_MS, permits=SECRETS.permits).command, RejectedCommand)
    refused = decode(NOW, fields, NOW_MS).command
    assert isinstance(refused, RejectedCommand), "where no secret is at hand nothing is believed"


@pytest.mark.parametrize("name", ["type", "data", "key", "via", "reply_to", "expires_ms"])
def test_it_covers_every_field(name: str) -> None:
    fields = signed(via="a", reply_to="0 task", expires_ms=NOW_MS + 1)
    assert SECRETS.permits(NOW, fields)
    assert not SECRETS.permits(NOW, {**fields, name.encode(): b"1"})
    assert not SECRETS.permits(NOW, {other: value for other, value in fields.items() if other != name.encode()})


def test_fields_cannot_be_shifted_into_each_other() -> None:
    one = signed(via="a", reply_to="b1:c")
    other = {**one, b"via": b"a8:reply_to", b"reply_to": b"b"}
    assert not SECRETS.permits(NOW, other)


def test_it_is_of_one_partition_and_one_secret() -> None:
    fields = signed()
    assert not Secrets("recommender:b:commands", (SECRET,)).permits(NOW, fields)
    assert not Secrets(STREAM, ("another",)).permits(NOW, fields)


@pytest.mark.parametrize("away_ms", [KEY_WINDOW_MS, -KEY_WINDOW_MS, 2**64 - 1 - NOW_MS])
def test_it_holds_as_long_as_keys_are_remembered(away_ms: int) -> None:
    """Appended again by somebody who can read the stream it is a repeat; later it is nothing."""
    fields = signed()
    assert SECRETS.permits(EntryId(NOW_MS + (KEY_WINDOW_MS - 1 if away_ms > 0 else 1 - KEY_WINDOW_MS), 0), fields)
    assert not SECRETS.permits(EntryId(NOW_MS + away_ms, 0), fields)


def test_what_stood_there_before_there_were_proofs_is_taken_as_it_was() -> None:
    secrets = Secrets(STREAM, (SECRET,), since=NOW)
    unsigned = {b"type": b"clock.ticked", b"data": b"{}"}
    assert secrets.permits(NOW, unsigned)
    assert not secrets.permits(NOW.next_at(NOW_MS), unsigned)


def test_a_proof_on_a_command_of_a_producer_is_an_unknown_field() -> None:
    refused = decode(NOW, {b"data": json.dumps({"id": "a", "text": "b"}).encode(), b"proof": b"1.0"}, NOW_MS).command
    assert isinstance(refused, RejectedCommand)
    assert (refused.error.code, refused.error.field) == ("unknown_field", "proof")


def test_a_refused_entry_does_not_show_its_proof() -> None:
    fields = {name: value for name, value in signed().items() if name != b"data"}
    refused = decode(NOW, fields, NOW_MS, permits=SECRETS.permits).command
    assert isinstance(refused, RejectedCommand)
    assert b"proof" not in refused.payload


def test_what_is_signed_needs_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Proving(NOW_MS).signed({"type": "clock.ticked", "data": "{}"})
