"""Writes the contracts with producers and consumers as the code has them: JSON Schemas, AsyncAPI, OpenAPI.

python tools/generate_schemas.py            # write them
python tools/generate_schemas.py --check    # exit 1 if one is stale
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel  # noqa: E402
from pydantic.json_schema import models_json_schema  # noqa: E402

from recommender_engine import EntryId, Event, __version__, decode_entry, open_recommender  # noqa: E402
from recommender_engine.items import DEFAULT_MODEL, InteractionAccepted, ListShown, UserMerged, limits  # noqa: E402
from recommender_engine.items.commands import COMMAND_TYPES  # noqa: E402
from recommender_engine.items.events import EVENT_TYPES, Timings  # noqa: E402
from recommender_engine.items.values import Value  # noqa: E402
from recommender_engine.testing import DeterministicEncoder  # noqa: E402

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMMENT = "Written by tools/generate_schemas.py: change the code, then run it."
SOURCE = "/recommender/default"
Schema = dict[str, Any]

EXAMPLE_PAGE = (
    b'[{"kind":"collection","settings":{},"model":null,"dimension":null,"next_us":null,"answers":0,"pending":0,'
    b'"matcher":null,"origins":["b"]}]'
)
TUNED = DeterministicEncoder(128)
EXAMPLE_MODEL = {"collection": "default", "model": "tuned", "digest": TUNED.identity.fingerprint}
EXAMPLE_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "collection.configured",
        {"collection": "tickets", "settings": {"target_precision": 0.97, "window_seconds": 7_776_000}},
    ),
    (
        "item.upsert",
        {
            "collection": "tickets",
            "id": "T-1",
            "text": "The card payment was declined at the shop",
            "timestamp": "2026-03-01T09:30:00Z",
        },
    ),
    (
        "item.upsert",
        {
            "collection": "tickets",
            "id": "T-2",
            "text": "The card payment was declined at the SHOP",
            "attributes": {"status": "open", "priority": 2},
            "timestamp": "2026-03-02T08:00:00Z",
            "version": 1,
        },
    ),
    (
        "item.upsert",
        {
            "id": "SKU-7",
            "fields": {"title": "Kettle, 1.7 l", "brand": "Acme", "description": "Stainless steel, cordless"},
            "attributes": {"price": 39.9},
            "silent": True,
        },
    ),
    ("feedback.given", {"collection": "tickets", "id": "T-2", "other": "T-1", "answer": "different", "by": "jo"}),
    (
        "interaction.recorded",
        {"collection": "tickets", "item": "T-2", "session": "visit-31", "time": "2026-03-02T09:15:00Z"},
    ),
    (
        "interaction.recorded",
        {"collection": "tickets", "item": "T-2", "user": "U-9", "session": "visit-32", "kind": "rate", "value": 4},
    ),
    (
        "recommendation.shown",
        {"collection": "tickets", "recommendation_id": "list-7", "items": ["T-1", "T-2"], "user": "U-9"},
    ),
    ("user.merged", {"collection": "tickets", "user": "U-9", "session": "visit-31"}),
    ("recommendations.subscribed", {"collection": "tickets", "user": "U-4"}),
    ("user.erased", {"collection": "tickets", "user": "U-9"}),
    ("recommendations.unsubscribed", {"collection": "tickets", "user": "U-4"}),
    ("item.patch", {"collection": "tickets", "id": "T-2", "attributes": {"status": "closed", "priority": None}}),
    ("item.delete", {"collection": "tickets", "id": "T-2", "version": 2}),
    ("item.upsert", {"collection": "tickets", "id": "T-2", "text": "Comes late", "version": 1}),
    ("item.erase", {"collection": "tickets", "id": "T-1"}),
    ("item.upsert", {"id": "T-3", "txt": "Not a field of an item"}),
    ("clock.ticked", {}),
    ("command.quarantined", {"entry": "1772355600000-0", "reason": "the message alone ended a process with SIGSEGV"}),
    (
        "message.refused",
        {
            "source": "celery",
            "code": "not_json",
            "message": "not JSON: Expecting value: line 1 column 1 (char 0)",
            "payload": "hello",
            "payload_encoding": "utf-8",
            "payload_bytes": 5,
        },
    ),
    (
        "collection.moved",
        {
            "collection": "archive",
            "move": "m-1",
            "step": "begun",
            "source": "b",
            "target": "default",
            "arrivals": 1200,
            "points": 900,
        },
    ),
    (
        "collection.records",
        {
            "collection": "archive",
            "move": "m-1",
            "page": "collection",
            "part": 0,
            "parts": 1,
            "data": base64.b64encode(EXAMPLE_PAGE).decode(),
            "sha256": hashlib.sha256(EXAMPLE_PAGE).hexdigest(),
            "next": "points 0",
        },
    ),
    ("item.upsert", {"collection": "archive", "id": "A-1", "text": "Is passed on until the collection is here"}),
    ("model.proposed", EXAMPLE_MODEL),
    ("model.promoted", EXAMPLE_MODEL),
    (
        "model.dropped",
        {"collection": "default", "model": DEFAULT_MODEL, "digest": DeterministicEncoder().identity.fingerprint},
    ),
    ("collection.deleted", {"collection": "tickets"}),
)
"""A history in which every type of command and of event appears; all but the one with ``txt`` are good."""
INCIDENT_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("collection.configured", {"collection": "lifts", "settings": {"incidents": True}}),
    *(
        ("item.upsert", {"collection": "lifts", "id": f"L-{n}", "text": "The lift in the library is stuck"})
        for n in range(14)
    ),
    ("collection.deleted", {"collection": "lifts"}),
)
"""A history in which an incident opens, doubles and is closed; of its events only those of the incident are shown."""
JUDGED_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("collection.configured", {"collection": "shop", "settings": {"scenarios": {"home": {"limit": 2}}}}),
    ("item.upsert", {"collection": "shop", "id": "P-1", "text": "Stoneware mug, blue"}),
    (
        "recommendation.shown",
        {
            "collection": "shop",
            "recommendation_id": "list-8",
            "items": ["P-2", "P-1"],
            "user": "U-9",
            "scenario": "home",
        },
    ),
    ("interaction.recorded", {"collection": "shop", "item": "P-1", "user": "U-9", "kind": "buy"}),
    ("clock.ticked", {}),
)
"""A history of some days in which a list is shown, used and judged; only that event is shown."""
_BETWEEN_MS = 1000
_DAY_MS = 86_400_000
UNPUBLISHED = (InteractionAccepted, ListShown, UserMerged)
"""Types of events that are outcomes only."""


# -- schemas -----------------------------------------------------------------------------------------------------------


def commands_schema() -> Schema:
    """What stands in the field ``data`` of an entry of the commands stream, by the field ``type``."""
    definitions = definitions_of(COMMAND_TYPES, "validation")
    return {
        "$schema": DIALECT,
        "$comment": COMMENT,
        "title": "Commands",
        "description": "The field `data` of an entry of the commands stream is one of these, by its field `type`. "
        f"It is UTF-8 of at most {limits.MAX_MESSAGE_BYTES} bytes without duplicate keys. Lengths in bytes, "
        "that ids are printable, and how many items an answer speaks of are checked beside what stands here.",
        "anyOf": [{"$ref": f"#/$defs/{type_}"} for type_ in COMMAND_TYPES],
        "$defs": definitions,
    }


def events_schema() -> Schema:
    """The CloudEvents in the field ``event`` of an entry of the events stream."""
    data = definitions_of({f"{type_}.data": model for type_, model in EVENT_TYPES.items()}, "serialization")
    data = {name: complete(open_to_more(schema)) for name, schema in data.items()}
    return {
        "$schema": DIALECT,
        "$comment": COMMENT,
        "title": "Events",
        "description": "The field `event` of an entry of the events stream is one of these CloudEvents 1.0. Fields may "
        "be added to a type without a new version of it, so ignore what you do not know.",
        "oneOf": [{"$ref": f"#/$defs/{type_}"} for type_ in EVENT_TYPES],
        "$defs": {**{type_: envelope(type_, model) for type_, model in EVENT_TYPES.items()}, **data},
    }


def envelope(type_: str, model: type[BaseModel]) -> Schema:
    """CloudEvents 1.0 around the data of one type of event."""
    about_item = "item_id" in model.model_fields
    always_about_item = about_item and model.model_fields["item_id"].annotation is str
    return {
        "title": model.__name__,
        "description": summary_of(model),
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": r"^\d+-\d+$", "description": "Id of the entry in the events stream."},
            "source": {"type": "string", "format": "uri-reference", "description": "Names the partition."},
            "type": {"const": type_},
            **({"subject": {"type": "string", "minLength": 1, "description": "Id of the item."}} if about_item else {}),
            "time": {"type": "string", "format": "date-time"},
            "traceparent": {"type": "string", "description": "Trace context (W3C) that the command had."},
            "datacontenttype": {"const": "application/json"},
            "data": {"$ref": f"#/$defs/{type_}.data"},
        },
        "required": [
            *("specversion", "id", "source", "type", "datacontenttype", "data"),
            *(["subject"] if always_about_item else []),
        ],
    }


def open_to_more(schema: Schema) -> Schema:
    """Without the ban on unknown fields: a consumer must take an event that a later release says more in."""
    return {name: value for name, value in schema.items() if (name, value) != ("additionalProperties", False)}


def complete(schema: Schema) -> Schema:
    """With every field required: what is published holds them all, also those that have a default."""
    return {**schema, "required": list(schema["properties"])} if schema.get("properties") else schema


def definitions_of(models: Mapping[str, type[BaseModel]], mode: Any) -> dict[str, Schema]:
    """Schemas of models under the names given, and of what they are made of under their class names."""
    names = {model.__name__: name for name, model in models.items()}
    _, found = models_json_schema([(model, mode) for model in models.values()], ref_template="#/$defs/{model}")
    described = {name: with_descriptions(name, schema) for name, schema in found["$defs"].items()}
    renamed = json.loads(
        re.sub(
            r'"#/\$defs/(\w+)"',
            lambda match: json.dumps(f"#/$defs/{names.get(match[1], match[1])}"),
            json.dumps(described),
        )
    )
    return {
        **{name: renamed[class_] for class_, name in names.items()},
        **{class_: schema for class_, schema in renamed.items() if class_ not in names},
    }


def with_descriptions(class_name: str, schema: Schema) -> Schema:
    """The docstrings of a model, as people read them, at the places where readers of schemas look."""
    model = classes(Value).get(class_name)
    if model is None:
        return schema
    meanings: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, Value):
            meanings |= attributes_of(ancestor)
    properties = {
        name: {**value, **({"description": meanings[name]} if name in meanings else {})}
        for name, value in schema.get("properties", {}).items()
    }
    for value in properties.values():
        value.pop("title", None)  # the name again, in capitals
    return {**schema, "description": summary_of(model), **({"properties": properties} if properties else {})}


def classes(base: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """All models below ``base`` by name."""
    found: dict[str, type[BaseModel]] = {}
    for child in base.__subclasses__():
        found |= {child.__name__: child, **classes(child)}
    return found


def summary_of(model: type[BaseModel]) -> str:
    """The docstring of a model without its sections."""
    return " ".join((inspect.getdoc(model) or "").partition("\n\nAttributes:")[0].replace("``", "`").split())


def attributes_of(model: type[BaseModel]) -> dict[str, str]:
    """The ``Attributes`` section of a Google-style docstring."""
    section = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    ([\w, ]+): (.*(?:\n {6,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "`").split()) for names, text in entries for name in names.split(", ")}


# -- examples ----------------------------------------------------------------------------------------------------------


class ExampleModels:
    """The default model and a trained one, without their weights."""

    names = (DEFAULT_MODEL, "tuned")

    def encoder(self, name: str) -> DeterministicEncoder:
        return {DEFAULT_MODEL: DeterministicEncoder(), "tuned": TUNED}[name]


def example_events() -> list[dict[str, Any]]:
    """What the engine says to the example commands; times that are measured are shown as zero."""
    incidents = [event for event in _said(INCIDENT_COMMANDS) if ".incident." in event.data.type]
    judged = [event for event in _said(JUDGED_COMMANDS, _DAY_MS) if ".judged." in event.data.type]
    return [json.loads(_untimed(event).to_json(SOURCE)) for event in (*_said(EXAMPLE_COMMANDS), *incidents, *judged)]


def _said(commands: Sequence[tuple[str, dict[str, Any]]], between_ms: int = _BETWEEN_MS) -> list[Event]:
    """What an engine publishes for some commands, one after the other."""
    engine = open_recommender(None, ExampleModels())
    start_ms = 1_764_000_000_000
    entries = [
        decode_entry(EntryId(start_ms + n * between_ms, 0), type_, json.dumps(data), key=f"example-{n}")
        for n, (type_, data) in enumerate(commands)
    ]
    events = [event for event in engine.process(entries) if not event.silent or isinstance(event.data, UNPUBLISHED)]
    engine.close()
    return events


def _untimed(event: Event) -> Event:
    if "timings" not in type(event.data).model_fields:
        return event
    zero = Timings(embed_ms=0.0, decide_ms=0.0)
    return Event(event.id, event.data.model_copy(update={"timings": zero}), event.silent)


# -- AsyncAPI ----------------------------------------------------------------------------------------------------------


def asyncapi() -> dict[str, Any]:
    """An AsyncAPI 3.0 document: two streams per partition and what stands in them."""
    commands = {type_: command_message(type_, model) for type_, model in COMMAND_TYPES.items()}
    said = example_events()
    events = {
        type_: event_message(type_, model, [event for event in said if event["type"] == type_])
        for type_, model in EVENT_TYPES.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "celery-recommender",
            "version": __version__,
            "description": "Similar-item recommendations and duplicate verdicts. Producers append commands to one "
            f"Redis stream, consumers read events from another. {COMMENT}",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "commands": channel("commands", commands, "A Redis stream. XADD a command with the fields below."),
            "events": channel(
                "events",
                events,
                "A Redis stream. XREAD or XREADGROUP; `event` holds the CloudEvent. What a group has missed, as"
                " events left the stream first, stands in the hash `recommender:{partition}:events-trimmed`, by group:"
                " JSON with `first`, the first event missed, `up_to`, the first behind the gap, and `at_ms`.",
            ),
        },
        "operations": {
            "receiveCommands": operation("receive", "commands", "Commands are taken in the order of the stream."),
            "sendEvents": operation("send", "events", "Every command but the clock has exactly one outcome."),
        },
        "components": {
            "messages": {**commands, **events},
            "parameters": {
                "partition": {"default": "default", "description": "The partition: `RECOMMENDER_PARTITION`."},
            },
        },
    }


def channel(name: str, messages: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {
        "address": f"recommender:{{partition}}:{name}",
        "description": description,
        "parameters": {"partition": {"$ref": "#/components/parameters/partition"}},
        "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in messages},
        "bindings": {"redis": {}},
    }


def operation(action: str, name: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "summary": summary}


def command_message(type_: str, model: type[BaseModel]) -> dict[str, Any]:
    """A command: its JSON is the field ``data``; the other fields of the entry are its headers."""
    key = {"type": "string", "minLength": 1, "description": "Names the command; a repeat has no second effect."}
    expires = {"type": "string", "pattern": r"^\d{1,15}$", "description": "Rejected when not taken by then."}
    return {
        "name": type_,
        "title": model.__name__,
        "summary": summary_of(model),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {"type": {"const": type_}, "key": key, "expires_ms": expires},
            "required": ["type"] if type_ != "item.upsert" else [],
        },
        "payload": payload("commands", type_),
        "examples": [{"payload": data} for data in good_examples(type_)],
    }


def event_message(type_: str, model: type[BaseModel], examples: list[dict[str, Any]]) -> dict[str, Any]:
    """An event: its JSON is the field ``event``; the field ``type`` repeats its type."""
    return {
        "name": type_,
        "title": model.__name__,
        "summary": summary_of(model),
        "contentType": "application/cloudevents+json",
        "headers": {"type": "object", "properties": {"type": {"const": type_}}, "required": ["type"]},
        "payload": payload("events", type_),
        "examples": [{"payload": event} for event in examples],
    }


def payload(file: str, type_: str) -> dict[str, Any]:
    return {
        "schemaFormat": "application/schema+json;version=2020-12",
        "schema": {"$ref": f"schemas/{file}.json#/$defs/{type_}"},
    }


def good_examples(type_: str) -> list[dict[str, Any]]:
    return [data for example, data in EXAMPLE_COMMANDS if example == type_ and "txt" not in data]


# -- OpenAPI -----------------------------------------------------------------------------------------------------------


def openapi() -> dict[str, Any]:
    """The HTTP API; its libraries are in the extra `web`."""
    from celery_recommender.web.api.app import create_api

    return create_api(None, None).openapi()


# -- files -------------------------------------------------------------------------------------------------------------

FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "docs/schemas/commands.json": commands_schema,
    "docs/schemas/events.json": events_schema,
    "docs/asyncapi.json": asyncapi,
    "docs/openapi.json": openapi,
}


def written() -> Iterator[tuple[Path, str]]:
    """Each file and what it should hold."""
    for name, make in FILES.items():
        yield ROOT / name, json.dumps(make(), indent=2, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Files that do not say what the code says."""
    return [
        path.relative_to(ROOT).as_posix()
        for path, text in written()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    if parser.parse_args().check:
        for name in stale():
            print(f"{name} is stale: run python tools/generate_schemas.py", file=sys.stderr)
        return 1 if stale() else 0
    for path, text in written():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
