"""What a message may look like, and what becomes of one that does not."""

from __future__ import annotations

import gc
import json
import weakref
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionSettings,
    ConfigureCollection,
    DeleteCollection,
    DeleteItem,
    Entry,
    EntryId,
    EraseItem,
    GiveFeedback,
    PatchItem,
    ProposeModel,
    QuarantineCommand,
    RejectedCommand,
    TickClock,
    UpsertItem,
    claimed_item,
    decode_entry,
    limits,
    parse_command,
)
from recommender_engine.items.commands import COMMAND_TYPES

PLACE = EntryId(1_700_000_000_000, 0)
UPSERT = "item.upsert"


def decode(data: Any, type_: str | bytes = UPSERT, **around: Any) -> Entry:
    raw = data if isinstance(data, bytes | str) else json.dumps(data)
    return decode_entry(PLACE, type_, raw, **around)


def error_of(entry: Entry) -> InvalidCommand:
    assert isinstance(entry.command, RejectedCommand), entry.command
    return entry.command.error


def item(**fields: Any) -> dict[str, Any]:
    return {"id": "T-1", "text": "refund", **fields}


@pytest.mark.parametrize(
    ("type_", "data", "command"),
    [
        (UPSERT, {"id": "a", "text": "b"}, UpsertItem(id="a", text="b")),
        (
            UPSERT,
            {"id": "a", "collection": "c", "fields": {"title": "t", "brand": "b"}, "version": 0, "silent": True},
            UpsertItem(id="a", collection="c", fields={"title": "t", "brand": "b"}, version=0, silent=True),
        ),
        (
            UPSERT,
            {"id": "a", "text": "b", "attributes": {"n": 1, "x": 1.5, "s": "", "f": False, "z": None}},
            UpsertItem(id="a", text="b", attributes={"n": 1, "x": 1.5, "s": "", "f": False, "z": None}),
        ),
        (
            UPSERT,
            {"id": "a", "text": "b", "attributes": {"tags": ["new", "é"], "sizes": [38, 38.5], "none": []}},
            UpsertItem(id="a", text="b", attributes={"tags": ["new", "é"], "sizes": [38, 38.5], "none": []}),
        ),
        (
            UPSERT,
            {"id": "a", "text": "b", "timestamp": "2026-03-01T09:30:00Z", "vector": [1, 2.5]},
            UpsertItem(id="a", text="b", timestamp=datetime(2026, 3, 1, 9, 30, tzinfo=UTC), vector=[1.0, 2.5]),
        ),
        ("item.patch", {"id": "a", "attributes": {"p": None}}, PatchItem(id="a", attributes={"p": None})),
        ("item.delete", {"id": "a", "version": 7}, DeleteItem(id="a", version=7)),
        ("item.erase", {"id": "a", "collection": "c"}, EraseItem(id="a", collection="c")),
        (
            "collection.configured",
            {"collection": "c", "settings": {"candidates": 5}},
            ConfigureCollection(collection="c", settings=CollectionSettings(candidates=5)),
        ),
        (
            "collection.configured",
            {"collection": "c", "settings": {"equal": ["requester"], "only": {"status": ["open", None]}}},
            ConfigureCollection(
                collection="c", settings=CollectionSettings(equal=("requester",), only={"status": ("open", None)})
            ),
        ),
        (
            "feedback.given",
            {"id": "a", "other": "b", "answer": "same", "by": "ada"},
            GiveFeedback(id="a", other="b", answer="same", by="ada"),
        ),
        ("feedback.given", {"id": "a", "answer": "wrong"}, GiveFeedback(id="a", answer="wrong")),
        ("collection.deleted", {"collection": "c"}, DeleteCollection(collection="c")),
        (
            "model.proposed",
            {"collection": "c", "model": "tuned", "digest": "0123456789abcdef"},
            ProposeModel(collection="c", model="tuned", digest="0123456789abcdef"),
        ),
        ("clock.ticked", {}, TickClock()),
        (
            "command.quarantined",
            {"entry": "17-3", "reason": "it ends a process"},
            QuarantineCommand(entry="17-3", reason="it ends a process"),
        ),
    ],
)
def test_good_messages(type_: str, data: dict[str, Any], command: object) -> None:
    entry = decode(data, type_, key="k", reply_to="r")
    assert entry == Entry(PLACE, command, "k", "r")  # type: ignore[arg-type]
    assert type(entry.command) is type(command)


def test_fields_make_one_text_in_the_order_given() -> None:
    command = decode(item(text=None, fields={"title": "Kettle", "note": "", "brand": "Acme"})).command
    assert isinstance(command, UpsertItem)
    assert command.content == "Kettle\nAcme"


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        pytest.param(b"", "not_json", None, id="nothing"),
        pytest.param(b"{", "not_json", None, id="cut off"),
        pytest.param(b"{} {}", "not_json", None, id="two values"),
        pytest.param(b"{'id': 1}", "not_json", None, id="single quotes"),
        pytest.param(b'\xef\xbb\xbf{"id":"a","text":"b"}', "not_json", None, id="byte order mark"),
        pytest.param('{"id":"a","text":"b"}'.encode("utf-16"), "not_utf8", None, id="UTF-16"),
        pytest.param(b'{"id":"a","text":"\xe9"}', "not_utf8", None, id="Latin-1"),
        pytest.param(b'{"id":"a","text":"\xed\xa0\x80"}', "not_utf8", None, id="encoded surrogate"),
        pytest.param(rb'{"id":"a","text":"\ud83d"}', "not_unicode", None, id="half a pair"),
        pytest.param(rb'{"id":"a","text":"b","attributes":{"\udc00":1}}', "not_unicode", None, id="half a pair as key"),
        pytest.param(b'{"id":"a","id":"b","text":"c"}', "not_json", None, id="key twice"),
        pytest.param(b'{"id":"a","text":"b","attributes":{"x":1,"x":1}}', "not_json", None, id="inner key twice"),
        pytest.param(b'{"id":"a","text":"b","vector":[NaN]}', "not_json", None, id="NaN"),
        pytest.param(b'{"id":"a","text":"b","vector":[-Infinity]}', "not_json", None, id="infinity"),
        pytest.param(b'{"id":"a","text":"b","vector":[1e999]}', "invalid_value", "vector.0", id="too large a number"),
        pytest.param(b'{"id":"a","text":"b","attributes":{"x":1e999}}', "invalid_value", "attributes.x", id="1e999"),
        pytest.param(
            b'{"id":"a","text":"b","attributes":{"x":' + b"9" * 5000 + b"}}", "not_json", None, id="5000 digits"
        ),
        pytest.param(b"[" * 100_000, "too_deep", None, id="100000 brackets"),
        pytest.param(b"[" * 9 + b"]" * 9, "too_deep", None, id="9 levels"),
        pytest.param(b"[" * 8 + b"]" * 8, "wrong_type", None, id="8 levels, but a list"),
        pytest.param(b"null", "wrong_type", None, id="null"),
        pytest.param(b'"refund"', "wrong_type", None, id="a string"),
        pytest.param(b" " * (limits.MAX_MESSAGE_BYTES + 1), "too_large", None, id="a byte too many"),
        pytest.param({}, "missing_field", "id", id="empty object"),
        pytest.param({"text": "b"}, "missing_field", "id", id="no id"),
        pytest.param({"id": "a"}, "invalid_value", None, id="no text"),
        pytest.param(item(text=" \n "), "invalid_value", None, id="blank text"),
        pytest.param(item(text=None), "invalid_value", None, id="null text"),
        pytest.param(item(text=7), "wrong_type", "text", id="number as text"),
        pytest.param(item(text=["a"]), "wrong_type", "text", id="list as text"),
        pytest.param(item(fields={"title": "t"}), "invalid_value", None, id="text and fields"),
        pytest.param({"id": "a", "fields": {}}, "invalid_value", None, id="no fields"),
        pytest.param({"id": "a", "fields": {"title": 1}}, "wrong_type", "fields.title", id="number as field"),
        pytest.param({"id": "a", "fields": {"": "t"}}, "invalid_value", "fields..[key]", id="field without a name"),
        pytest.param(
            {"id": "a", "fields": {f"f{n}": "t" for n in range(17)}}, "invalid_value", "fields", id="17 fields"
        ),
        pytest.param(
            {"id": "a", "fields": {"a": "t" * 50_000, "b": "t" * 50_000}}, "invalid_value", None, id="fields too long"
        ),
        pytest.param(item(text="t" * (limits.MAX_TEXT_BYTES + 1)), "invalid_value", "text", id="text too long"),
        pytest.param(
            json.dumps(item(text="é" * (limits.MAX_TEXT_BYTES // 2 + 1)), ensure_ascii=False),
            "invalid_value",
            "text",
            id="text of long bytes",
        ),
        pytest.param(item(id=7), "wrong_type", "id", id="number as id"),
        pytest.param(item(id=None), "wrong_type", "id", id="null id"),
        pytest.param(item(id=True), "wrong_type", "id", id="boolean id"),
        pytest.param(item(id=""), "invalid_value", "id", id="empty id"),
        pytest.param(item(id="a" * 257), "invalid_value", "id", id="long id"),
        pytest.param(item(id="é" * 129), "invalid_value", "id", id="id of long bytes"),
        pytest.param(item(collection=""), "invalid_value", "collection", id="empty collection"),
        pytest.param(item(collection=None), "wrong_type", "collection", id="null collection"),
        pytest.param(item(txt="b"), "unknown_field", "txt", id="unknown field"),
        pytest.param(item(type="item.upsert"), "unknown_field", "type", id="type inside"),
        pytest.param(item(attributes=["x"]), "wrong_type", "attributes", id="list as attributes"),
        pytest.param(item(attributes={"a": {}}), "invalid_value", "attributes.a", id="object as attribute"),
        pytest.param(item(attributes={"a": [[1]]}), "invalid_value", "attributes.a", id="list in a list"),
        pytest.param(item(attributes={"a": [1, "1"]}), "invalid_value", "attributes.a", id="list of two types"),
        pytest.param(item(attributes={"a": [True]}), "invalid_value", "attributes.a", id="list of booleans"),
        pytest.param(item(attributes={"a": ["x", None]}), "invalid_value", "attributes.a", id="null in a list"),
        pytest.param(item(attributes={"a": ["x"] * 257}), "invalid_value", "attributes.a", id="long list"),
        pytest.param(item(attributes={"a": ["x" * 1025]}), "invalid_value", "attributes.a", id="long text in a list"),
        pytest.param(item(attributes={"a": [2**63]}), "invalid_value", "attributes.a", id="65 bits in a list"),
        pytest.param(item(attributes={"a": "x" * 1025}), "invalid_value", "attributes.a", id="long attribute"),
        pytest.param(item(attributes={"a\n": 1}), "invalid_value", "attributes.a\n.[key]", id="line break in a name"),
        pytest.param(
            item(attributes={f"a{n}": n for n in range(65)}), "invalid_value", "attributes", id="65 attributes"
        ),
        pytest.param(item(timestamp=1_700_000_000), "invalid_value", "timestamp", id="number as time"),
        pytest.param(item(timestamp="2026-03-01T09:30:00"), "invalid_value", "timestamp", id="time without offset"),
        pytest.param(item(timestamp="yesterday"), "invalid_value", "timestamp", id="no time at all"),
        pytest.param(item(vector=[]), "invalid_value", "vector", id="empty vector"),
        pytest.param(item(vector=[0, 0.0]), "invalid_value", None, id="vector of length zero"),
        pytest.param(item(vector=["1"]), "wrong_type", "vector.0", id="string in a vector"),
        pytest.param(item(vector=[True]), "wrong_type", "vector.0", id="boolean in a vector"),
        pytest.param(item(vector=[10**400]), "wrong_type", "vector.0", id="whole number too large for a vector"),
        pytest.param(item(vector=[1] * 4097), "invalid_value", "vector", id="4097 numbers"),
        pytest.param(item(version=-1), "invalid_value", "version", id="negative version"),
        pytest.param(item(version=2**63), "invalid_value", "version", id="large version"),
        pytest.param(item(version=1.0), "wrong_type", "version", id="version with a point"),
        pytest.param(item(version="1"), "wrong_type", "version", id="string as version"),
        pytest.param(item(silent=1), "wrong_type", "silent", id="number as boolean"),
        pytest.param(item(silent="true"), "wrong_type", "silent", id="string as boolean"),
    ],
)
def test_malformed_upserts(data: Any, code: str, field: str | None) -> None:
    error = error_of(decode(data))
    assert (error.code, error.field) == (code, field)
    assert str(error)


@pytest.mark.parametrize(
    ("type_", "data", "code", "field"),
    [
        ("item.upserted", item(), "unknown_type", None),
        ("", item(), "unknown_type", None),
        ("ITEM.UPSERT", item(), "unknown_type", None),
        ("item.patch", {"id": "a"}, "missing_field", "attributes"),
        ("item.patch", {"id": "a", "attributes": {}}, "invalid_value", "attributes"),
        ("item.patch", {"id": "a", "attributes": {"p": 1}, "text": "b"}, "unknown_field", "text"),
        ("item.delete", {"collection": "c"}, "missing_field", "id"),
        ("item.erase", {"id": "a", "version": 1}, "unknown_field", "version"),
        ("collection.configured", {"settings": {}}, "missing_field", "collection"),
        ("collection.configured", {"collection": "c"}, "missing_field", "settings"),
        ("collection.configured", {"collection": "c", "settings": {"k": 1}}, "unknown_field", "settings.k"),
        (
            "collection.configured",
            {"collection": "c", "settings": {"candidates": 0}},
            "invalid_value",
            "settings.candidates",
        ),
        (
            "collection.configured",
            {"collection": "c", "settings": {"review_from": 1.5}},
            "invalid_value",
            "settings.review_from",
        ),
        (
            "collection.configured",
            {"collection": "c", "settings": {"duplicate_from": 0.9}},
            "unknown_field",
            "settings.duplicate_from",
        ),
        (
            "collection.configured",
            {"collection": "c", "settings": {"only": {"status": ["open", {}]}}},
            "invalid_value",
            "settings.only.status.1",
        ),
        ("feedback.given", {"other": "b", "answer": "same"}, "missing_field", "id"),
        ("feedback.given", {"id": "a", "other": "b"}, "missing_field", "answer"),
        ("feedback.given", {"id": "a", "other": "b", "answer": "maybe"}, "invalid_value", "answer"),
        ("feedback.given", {"id": "a", "other": 7, "answer": "same"}, "wrong_type", "other"),
        ("feedback.given", {"id": "a", "other": "a\n", "answer": "same"}, "invalid_value", "other"),
        ("feedback.given", {"id": "a", "other": "b", "answer": "same", "silent": True}, "unknown_field", "silent"),
        ("feedback.given", {"id": "a", "answer": "same"}, "invalid_value", None),
        ("feedback.given", {"id": "a", "answer": "unsure"}, "invalid_value", None),
        ("feedback.given", {"id": "a", "other": "b", "answer": "right"}, "invalid_value", None),
        ("feedback.given", {"id": "a", "other": "a", "answer": "different"}, "invalid_value", None),
        ("clock.ticked", {"now": 1}, "unknown_field", "now"),
    ],
)
def test_other_malformed_commands(type_: str, data: Any, code: str, field: str | None) -> None:
    error = error_of(decode(data, type_))
    assert (error.code, error.field) == (code, field)


def test_an_error_says_what_was_given() -> None:
    assert str(error_of(decode(item(text=7)))) == "text: Input should be a valid string (got number)"
    assert str(error_of(decode(item(id=None)))) == "id: Input should be a valid string (got null)"
    assert str(error_of(decode(b"[]"))) == "the command must be a JSON object, not array"
    assert "one of item.upsert, item.patch" in str(error_of(decode(item(), "nonsense")))


@pytest.mark.parametrize(
    "id_",
    [
        "../../etc/passwd",
        "/",
        "a:b:c",
        "a b",
        "*",
        "%2e%2e",
        "'; DROP TABLE items; --",
        "{braces}",
        "🧑🚀",
        "Ünïcödé",
        "数",
        "a" * 256,
        "é" * 128,
        "-1",
        "null",
        "T-1?x=1&y=2#z",
        "recommender:other:commands",
        str(2**64),
        "\u0440\u0430y",  # Cyrillic, and not "pay" in Latin letters
    ],
)
def test_any_printable_id_is_good(id_: str) -> None:
    for field in ("id", "collection"):
        command = decode(item(**{field: id_})).command
        assert isinstance(command, UpsertItem)
        assert getattr(command, field) == id_


@pytest.mark.parametrize(
    "id_",
    [
        "a\r\nb",
        "a\nb",
        "\t",
        "a\x00b",
        "\x1b[31m",
        "\x7f",
        "a\u2028b",
        "\u202egpj.exe",
        "\u200fa",
        "a\u200bb",
        "\ufeffa",
        "a\u00a0b",
        "\ue000",
        "x" * 10_240,
    ],
)
def test_ids_that_cannot_be_shown_are_refused(id_: str) -> None:
    for field in ("id", "collection"):
        error = error_of(decode(item(**{field: id_})))
        assert (error.code, error.field) == ("invalid_value", field)


def test_limits_are_what_is_still_accepted() -> None:
    widest = item(
        id="é" * 128,
        text="t" * limits.MAX_TEXT_BYTES,
        attributes={f"{n:064}": "é" * 512 for n in range(limits.MAX_ATTRIBUTES)},
        version=2**63 - 1,
    )
    assert isinstance(decode(json.dumps(widest, ensure_ascii=False)).command, UpsertItem)
    exact = json.dumps(item()).encode().ljust(limits.MAX_MESSAGE_BYTES)
    assert isinstance(decode(exact).command, UpsertItem)
    assert isinstance(decode(item(vector=[1e-300] * 4096)).command, UpsertItem)


# -- what is around a command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k", "order 7", "a:b", "é" * 128, b"bytes", "🔑".encode()])
def test_good_keys(key: str | bytes) -> None:
    assert decode(item(), key=key).key == (key if isinstance(key, str) else key.decode())


@pytest.mark.parametrize("key", ["", b"", "a\n", b"\xff", "k" * 257, "é" * 129, "\u202e", "\ud800", b"\x00"])
def test_a_bad_key_makes_the_message_malformed(key: str | bytes) -> None:
    entry = decode(item(), key=key, reply_to="task")
    error = error_of(entry)
    assert (error.code, error.field) == ("invalid_key", "key")
    assert entry.key is None
    assert entry.reply_to == "task"


def test_a_malformed_message_keeps_its_key_and_caller() -> None:
    entry = decode(b"{", key="k", reply_to="task")
    assert (entry.key, entry.reply_to) == ("k", "task")


@pytest.mark.parametrize(
    ("type_", "shown"),
    [("nonsense", "nonsense"), (b"\xff\x00", "'\\\\xff\\x00'"), ("a\r\nb", "'a\\r\\nb'"), ("\ud800", "'\\ud800'")],
)
def test_the_claimed_type_can_be_shown(type_: str | bytes, shown: str) -> None:
    command = decode(item(), type_).command
    assert isinstance(command, RejectedCommand)
    assert command.type == shown


def test_a_malformed_message_keeps_what_it_said_within_bounds() -> None:
    said = b"x" * (3 * limits.MAX_MESSAGE_BYTES)
    command = decode(said).command
    assert isinstance(command, RejectedCommand)
    assert command.payload == said[: limits.MAX_MESSAGE_BYTES]
    assert command.size == len(said)


def test_the_name_of_an_offending_field_is_bounded() -> None:
    error = error_of(decode(item(**{"x" * 100_000: 1})))
    assert error.code == "unknown_field"
    assert len(error.field or "") <= 200
    assert len(str(error)) <= 500


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"id":"a","text":7}', ("default", "a")),
        (b'{"id":"a","collection":"c","nonsense":[]}', ("c", "a")),
        (b'{"id":7}', None),
        (b'{"text":"b"}', None),
        (b'{"id":"a","collection":7}', None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
    ],
)
def test_a_rejected_message_is_known_by_the_item_it_names(payload: bytes, expected: tuple[str, str] | None) -> None:
    found = claimed_item(payload)
    assert (found and (found.collection, found.id)) == expected


# -- anything at all ---------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
about_items = ["id", "collection", "text", "fields", "attributes", "timestamp", "vector", "version", "silent"]
known_fields = st.sampled_from([*about_items, "settings", "other", "answer", "by"])
messages = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(known_fields, json_values, max_size=6).map(lambda value: json.dumps(value).encode()),
)
types = st.one_of(st.sampled_from(sorted(COMMAND_TYPES)), st.binary(max_size=8), st.text(max_size=8))


@settings(max_examples=600, deadline=None)
@given(types, messages, st.none() | st.binary(max_size=6) | st.text(max_size=6))
@example(UPSERT, b'{"id":"a","text":"\\ud800"}', None)
@example(UPSERT, b'{"id":"a","text":"b","vector":[1e400]}', None)
@example(UPSERT, b'{"id":"a","text":"b","attributes":{"x":' + b"1" * 4000 + b"}}", None)
def test_any_message_becomes_an_entry(type_: str | bytes, data: bytes, key: str | bytes | None) -> None:
    entry = decode_entry(PLACE, type_, data, key)
    assert entry.id == PLACE
    if isinstance(entry.command, RejectedCommand):
        assert entry.command.error.code
        assert entry.command.type.isprintable()
        str(entry.command.error).encode()
        (entry.command.error.field or "").encode()
    else:
        assert isinstance(entry.command, COMMAND_TYPES[entry.command.type])
        again = parse_command(entry.command.type, entry.command.model_dump_json(exclude_unset=True).encode())
        assert again == entry.command


@given(st.text())
def test_any_string_becomes_an_entry(data: str) -> None:
    assert decode_entry(PLACE, UPSERT, data).id == PLACE


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_integers_of_64_bits_are_accepted(number: int) -> None:
    assert decode(item(attributes={"n": number})).command == UpsertItem(
        id="T-1", text="refund", attributes={"n": number}
    )


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**4200])
def test_larger_integers_are_rejected(number: int) -> None:
    error = error_of(decode(f'{{"id":"T-1","text":"refund","attributes":{{"n":{number}}}}}'))
    assert (error.code, error.field) == ("invalid_value", "attributes.n")
    assert "64 bits" in str(error)


@pytest.mark.parametrize("data", [b'{"id": "says nothing"}', b'{"id": 1}', b"{"])
def test_nothing_is_left_of_a_message_that_was_rejected(data: bytes) -> None:
    """Not even where the garbage collector does not look: errors hold frames, and frames hold messages."""

    def decoded() -> weakref.ref[InvalidCommand]:
        entry = decode_entry(EntryId(1, 0), "item.upsert", data)
        assert isinstance(entry.command, RejectedCommand)
        return weakref.ref(entry.command.error)

    said = decoded()
    gc.collect()
    assert said() is None
