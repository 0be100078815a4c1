"""The published schemas say what the code does, and the checked-in files what the schemas say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.items import RejectedCommand, decode_entry
from recommender_engine.items.commands import COMMAND_TYPES
from recommender_engine.items.events import EVENT_TYPES
from tests.support.engine import SOURCE, Log, opened
from tools import generate_schemas

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = json.loads((ROOT / "docs/schemas/commands.json").read_text(encoding="utf-8"))
EVENTS = json.loads((ROOT / "docs/schemas/events.json").read_text(encoding="utf-8"))
ASYNCAPI = json.loads((ROOT / "docs/asyncapi.json").read_text(encoding="utf-8"))


def validator(schema: dict[str, Any], definition: str | None = None) -> Draft202012Validator:
    """For one definition of a schema, or for the whole."""
    root = schema if definition is None else {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]}
    return Draft202012Validator(root, format_checker=Draft202012Validator.FORMAT_CHECKER)


def example_commands(*, good: bool) -> list[tuple[str, dict[str, Any]]]:
    return [one for one in generate_schemas.EXAMPLE_COMMANDS if ("txt" not in one[1]) is good]


# -- the files ---------------------------------------------------------------------------------------------------------


def test_checked_in_files_say_what_the_code_says() -> None:
    assert generate_schemas.stale() == [], "run python tools/generate_schemas.py"


def test_check_writes_nothing_and_tells_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate_schemas, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["generate_schemas.py", "--check"])
    assert generate_schemas.main() == 1
    assert list(tmp_path.iterdir()) == []
    assert "docs/asyncapi.json is stale" in capsys.readouterr().err

    monkeypatch.setattr("sys.argv", ["generate_schemas.py"])
    assert generate_schemas.main() == 0
    assert generate_schemas.stale() == []
    (tmp_path / "docs/schemas/events.json").write_text("{}", encoding="utf-8")
    assert generate_schemas.stale() == ["docs/schemas/events.json"]


@pytest.mark.parametrize("schema", [COMMANDS, EVENTS], ids=["commands", "events"])
def test_schemas_are_schemas(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_every_type_and_every_field_is_described() -> None:
    assert set(COMMAND_TYPES) <= COMMANDS["$defs"].keys()
    assert set(EVENT_TYPES) <= EVENTS["$defs"].keys()
    for name, definition in (COMMANDS["$defs"] | EVENTS["$defs"]).items():
        assert definition["description"], name
    described = COMMANDS["$defs"]["item.upsert"]["properties"]
    assert [name for name, one in described.items() if "description" not in one] == []


# -- commands ----------------------------------------------------------------------------------------------------------


def test_there_is_an_example_of_every_command() -> None:
    assert {type_ for type_, _ in example_commands(good=True)} == set(COMMAND_TYPES)


@pytest.mark.parametrize(("type_", "data"), example_commands(good=True))
def test_good_examples_are_good_for_schema_and_engine(type_: str, data: dict[str, Any]) -> None:
    validator(COMMANDS, type_).validate(data)
    validator(COMMANDS).validate(data)
    assert not isinstance(Log().add(type_, data).command, RejectedCommand)


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        *example_commands(good=False),
        ("item.upsert", {"id": "a"}),
        ("item.upsert", {"text": "b"}),
        ("item.upsert", {"id": "", "text": "b"}),
        ("item.upsert", {"id": 7, "text": "b"}),
        ("item.upsert", {"id": "a", "text": ["b"]}),
        ("item.upsert", {"id": "a", "text": "b", "collection": None}),
        ("item.upsert", {"id": "a", "text": "b", "attributes": {"x": {}}}),
        ("item.upsert", {"id": "a", "text": "b", "attributes": {f"a{n}": n for n in range(65)}}),
        ("item.upsert", {"id": "a", "text": "b", "attributes": {"n" * 65: 1}}),
        ("item.upsert", {"id": "a", "fields": {f"f{n}": "t" for n in range(17)}}),
        ("item.upsert", {"id": "a", "text": "b", "vector": []}),
        ("item.upsert", {"id": "a", "text": "b", "vector": ["1"]}),
        ("item.upsert", {"id": "a", "text": "b", "version": -1}),
        ("item.upsert", {"id": "a", "text": "b", "version": 1.5}),
        ("item.upsert", {"id": "a", "text": "b", "silent": "no"}),
        ("item.patch", {"id": "a"}),
        ("item.patch", {"id": "a", "attributes": {}}),
        ("item.erase", {"id": "a", "version": 1}),
        ("collection.configured", {"collection": "c", "settings": {"candidates": 0}}),
        ("collection.configured", {"collection": "c", "settings": {"index": "faiss"}}),
        ("collection.configured", {"collection": "c", "settings": {"target_precision": 1}}),
        ("collection.configured", {"collection": "c", "settings": {"duplicate_from": 0.9}}),
        ("collection.configured", {"collection": "c", "settings": {"only": {"status": []}}}),
        ("collection.configured", {"collection": "c", "settings": {"canonical": "best"}}),
        ("feedback.given", {"id": "a", "other": "b"}),
        ("feedback.given", {"id": "a", "other": "b", "answer": "perhaps"}),
        ("feedback.given", {"id": "a", "other": 7, "answer": "same"}),
        ("clock.ticked", {"now": 1}),
        ("command.quarantined", {"entry": "first", "reason": "it kills"}),
        ("command.quarantined", {"entry": "1-0", "reason": ""}),
        ("message.refused", {"source": "celery", "code": "not_json", "message": "x", "payload": "x"}),
    ],
)
def test_what_the_schema_refuses_the_engine_rejects(type_: str, data: dict[str, Any]) -> None:
    assert not validator(COMMANDS, type_).is_valid(data)
    assert isinstance(Log().add(type_, data).command, RejectedCommand)


# -- events ------------------------------------------------------------------------------------------------------------


def test_events_of_every_type_are_good_for_the_schema() -> None:
    events = generate_schemas.example_events()
    assert {event["type"] for event in events} == set(EVENT_TYPES)
    for event in events:
        validator(EVENTS, event["type"]).validate(event)
        validator(EVENTS).validate(event)  # one of the types, and only one


def test_events_say_all_that_the_schema_knows_and_nothing_else() -> None:
    for event in generate_schemas.example_events():
        schema = EVENTS["$defs"][f"{event['type']}.data"]
        assert event["data"].keys() == schema["properties"].keys() == set(schema["required"])
        assert event.keys() <= EVENTS["$defs"][event["type"]]["properties"].keys()


def test_odd_events_are_good_for_the_schema_too() -> None:
    log, engine = Log(), opened()
    far_future = decode_entry(log.tick().id.next_at(10**15), "item.upsert", b"\xff\x00")
    events = engine.process(
        [
            log.upsert("🧑/../'\"", "text", attributes={"n": None, "f": 1e300, "i": 10**300, "b": True}),
            log.upsert("b", "text", vector=[1.0] * 64),
            log.add("nonsense", b"[" * 100_000, key="🔑"),
            log.delete("🧑/../'\""),
            log.upsert("b", "text"),
            far_future,
        ]
    )
    assert len(events) == 6
    for event in events:
        validator(EVENTS).validate(json.loads(event.to_json(SOURCE)))


def test_a_later_release_may_say_more() -> None:
    for event in generate_schemas.example_events():
        more = {**event, "traceparent": "00-0-0-0", "data": {**event["data"], "unheard_of": 1}}
        validator(EVENTS).validate(more)
        lacking = {**event, "data": {name: value for name, value in event["data"].items() if name != "command"}}
        assert not validator(EVENTS).is_valid(lacking)


# -- AsyncAPI ----------------------------------------------------------------------------------------------------------


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(reference: str) -> Any:
    file, _, pointer = reference.partition("#/")
    found = json.loads((ROOT / "docs" / file).read_text(encoding="utf-8")) if file else ASYNCAPI
    for part in pointer.split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def test_asyncapi_points_at_what_is_there() -> None:
    found = set(references(ASYNCAPI))
    assert len(found) > len(COMMAND_TYPES) + len(EVENT_TYPES)
    for reference in found:
        assert isinstance(resolve(reference), dict)


def test_asyncapi_names_the_streams_that_are_used() -> None:
    keys = PartitionKeys.of("{partition}")
    assert ASYNCAPI["channels"]["commands"]["address"] == keys.commands
    assert ASYNCAPI["channels"]["events"]["address"] == keys.events
    assert set(ASYNCAPI["channels"]["commands"]["messages"]) == set(COMMAND_TYPES)
    assert set(ASYNCAPI["channels"]["events"]["messages"]) == set(EVENT_TYPES)


def test_examples_in_asyncapi_are_good_for_the_schemas_they_stand_beside() -> None:
    for type_, message in ASYNCAPI["components"]["messages"].items():
        schema = COMMANDS if type_ in COMMAND_TYPES else EVENTS
        assert message["examples"], type_
        for example in message["examples"]:
            validator(schema, type_).validate(example["payload"])
