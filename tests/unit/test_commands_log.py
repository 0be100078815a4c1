"""Entries of the commands stream as the engine takes them; reading and trimming are tested against real servers."""

from __future__ import annotations

import pytest

from celery_recommender.broker.commands.log import decode
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Entry, EntryId, RejectedCommand, UpsertItem

NOW_MS = 1_700_000_000_000
NOW = EntryId(NOW_MS, 0)
ITEM = b'{"id": "a", "text": "b"}'


def entry(id_: EntryId = NOW, **fields: bytes) -> Entry:
    return decode(id_, {b"data": ITEM, **{name.encode(): value for name, value in fields.items()}}, NOW_MS)


def refusal(entry: Entry) -> InvalidCommand:
    assert isinstance(entry.command, RejectedCommand)
    return entry.command.error


@pytest.mark.parametrize("ahead_ms", [-(10**12), -1, 0, 1, 60_000])
def test_an_id_that_clocks_may_differ_by_tells_the_time(ahead_ms: int) -> None:
    assert entry(EntryId(NOW_MS + ahead_ms, 7)).time_ms == NOW_MS + ahead_ms


@pytest.mark.parametrize("ms", [NOW_MS + 60_001, 2**63, 2**64 - 1])
def test_an_id_further_ahead_does_not(ms: int) -> None:
    found = entry(EntryId(ms, 2**64 - 1))
    assert (found.id, found.time_ms) == (EntryId(ms, 2**64 - 1), NOW_MS)
    assert isinstance(found.command, UpsertItem)
    bad = entry(EntryId(ms, 0), colour=b"red")
    assert (refusal(bad).code, bad.time_ms) == ("unknown_field", NOW_MS)


def test_an_address_for_replies_is_no_place_for_data() -> None:
    assert entry(reply_to=b"0 " + b"t" * 510).reply_to == "0 " + "t" * 510
    assert refusal(entry(reply_to=b"0 " + b"t" * 511)).field == "reply_to"
    assert refusal(entry(reply_to=b"0 " + b"t" * 511)).code == "too_large"


LARGE = 40 * 1024 * 1024


@pytest.mark.parametrize("field", ["data", "type", "key", "reply_to", "colour"])
def test_of_what_is_too_large_only_the_beginning_is_kept(field: str) -> None:
    found = entry(**{"key": b"once", "reply_to": b"0 task", field: b"x" * LARGE})
    assert refusal(found).code == "too_large"
    assert isinstance(found.command, RejectedCommand)
    assert len(found.command.payload) <= 256 * 1024
    assert len(found.command.type) <= 64
    assert found.command.size == (LARGE if field == "data" else len(ITEM))
    assert found.key == (None if field == "key" else "once")
    assert found.reply_to == (None if field == "reply_to" else "0 task")


def test_many_large_fields_without_data_are_shown_in_part() -> None:
    found = decode(NOW, {f"f{n}".encode(): b"x" * 100_000 for n in range(10)}, NOW_MS)
    assert isinstance(found.command, RejectedCommand)
    assert found.command.payload.startswith(b"f0=xxx")
    assert b" f1=xxx" in found.command.payload
    assert (len(found.command.payload), found.command.size) == (256 * 1024, 1_000_020)


def test_the_type_of_what_is_refused_can_be_shown() -> None:
    refused = entry(type=b"\x1b[2J\r\n", colour=b"red").command
    assert isinstance(refused, RejectedCommand)
    assert refused.type == r"'\x1b[2J\r\n'"
