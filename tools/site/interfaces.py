"""The pages of the two interfaces, drawn from their documents: no script, nothing to fetch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from celery_recommender.web.api.reference import groups_of

_LONGEST_EXAMPLE = 4000


def openapi_page(document: dict[str, Any]) -> Iterator[str]:
    """Routes of the HTTP API, by tag."""
    yield from ("# HTTP API", "", "Drawn from the OpenAPI document ([openapi.json](openapi.json)); how it is used:")
    yield from ("[send and ask over HTTP](guide/http.md).", "")
    for tag, operations in groups_of(document).items():
        yield from (f"## {tag.capitalize()}", "")
        for one in operations:
            yield from (f"### `{one.method} {one.path}`", "", one.said.strip(), "")
            if one.fields:
                yield from ("| field | in | type | required |", "| --- | --- | --- | --- |")
                for field in one.fields:
                    needed = "yes" if field.required else ""
                    yield f"| `{field.name}` | {field.place} | {_code(field.type)} | {needed} |"
                yield ""
            for status, kind in one.answers:
                yield from (f"Answers `{status}` with {_code(kind)}.", "")


def asyncapi_page(document: dict[str, Any], folder: Path) -> Iterator[str]:
    """Messages of the two streams.

    Args:
        document: of AsyncAPI.
        folder: in which the schemas lie that it refers to.
    """
    yield from ("# Streams", "", "Drawn from the AsyncAPI document ([asyncapi.json](asyncapi.json)). In words:")
    yield from ("[commands](reference/commands.md), [events](reference/events.md).", "")
    messages = document["components"]["messages"]
    for name, channel in document["channels"].items():
        yield from (f"## {name.capitalize()}", "", f"`{channel['address']}`", "", channel["description"], "")
        for reference in channel["messages"].values():
            message = messages[reference["$ref"].rpartition("/")[2]]
            yield from _message(message, folder)


def _message(message: dict[str, Any], folder: Path) -> Iterator[str]:
    yield from (f"### `{message['name']}`", "", message["summary"], "")
    schema = _schema(message["payload"]["schema"], folder)
    fields = schema.get("properties", {})
    if "data" in fields and "specversion" in fields:  # a CloudEvent: what is its own is in the data
        data = fields["data"]
        schema = schema["$defs"].get(data["$ref"].rpartition("/")[2], {}) if "$ref" in data else data
        fields = schema.get("properties", {})
    if fields:
        yield from ("| field | type | required | |", "| --- | --- | --- | --- |")
        for name, one in fields.items():
            said = " ".join(str(one.get("description", "")).split()).replace("|", "\\|")
            needed = "yes" if name in schema.get("required", ()) else ""
            yield f"| `{name}` | {_code(_type(one))} | {needed} | {said} |"
        yield ""
    for example in message.get("examples", ())[:1]:
        text = json.dumps(example["payload"], indent=2, ensure_ascii=False)
        if len(text) <= _LONGEST_EXAMPLE:
            yield from ("```json", text, "```", "")


def _schema(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The schema that a reference into a file names, with the definitions of that file."""
    if "$ref" not in given:
        return given
    place, _, name = given["$ref"].partition("#/$defs/")
    definitions = json.loads((folder / place).read_text())["$defs"]
    return {"$defs": definitions, **definitions[name]}


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return " or ".join(map(json.dumps, schema.get("enum", [schema.get("const")])))
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if schema.get("type") == "array":
        return f"[{_type(schema.get('items', {}))}]"
    kinds = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _code(text: str) -> str:
    return f"`{text.replace(' | ', ' or ')}`"
