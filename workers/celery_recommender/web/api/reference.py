"""The page that shows the routes of the door, drawn from its OpenAPI document."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from celery_recommender.web.security.access import Who

router = APIRouter()

_SUCCESSES = ("200", "202")


class Field(NamedTuple):
    """A parameter, or a field of a body."""

    name: str
    type: str
    required: bool
    place: str


class Operation(NamedTuple):
    """One route.

    Attributes:
        method: of HTTP.
        path: with the prefix of the door.
        id: of the operation.
        said: what it does.
        fields: parameters, then the fields of the body.
        answers: status and type of what it gives.
    """

    method: str
    path: str
    id: str
    said: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]


@router.get("/api")
def reference(request: Request, visitor: Who) -> HTMLResponse:
    """Every route, with its fields."""
    api: FastAPI = request.app.state.api
    response: HTMLResponse = request.app.state.rendering.page(request, "api.html", groups=groups_of(api.openapi()))
    return response


def groups_of(document: dict[str, Any]) -> dict[str, list[Operation]]:
    """The operations of an OpenAPI document by tag, in its order."""
    prefix, schemas = document["servers"][0]["url"], document["components"]["schemas"]
    found: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            operation = Operation(
                method.upper(),
                prefix + path,
                said["operationId"],
                said.get("description") or said["summary"],
                (*_parameters(said), *_body(said, schemas)),
                tuple(_answers(said)),
            )
            found.setdefault(said["tags"][0], []).append(operation)
    return found


def _parameters(said: dict[str, Any]) -> list[Field]:
    return [
        Field(one["name"], _type(one["schema"]), one.get("required", False), one["in"])
        for one in said.get("parameters", ())
    ]


def _body(said: dict[str, Any], schemas: dict[str, Any]) -> list[Field]:
    if "requestBody" not in said:
        return []
    schema = schemas[_type(said["requestBody"]["content"]["application/json"]["schema"])]
    required = schema.get("required", ())
    return [Field(name, _type(one), name in required, "body") for name, one in schema["properties"].items()]


def _answers(said: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for status in _SUCCESSES:
        content = said["responses"].get(status, {}).get("content", {}).get("application/json", {})
        if content:
            found.append((status, _type(content.get("schema", {}))))
    return found


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return " | ".join(repr(one) for one in schema.get("enum", [schema.get("const")]))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(_type(one) for one in schema[key])
    if schema.get("type") == "array":
        return f"[{_type(schema.get('items', {}))}]"
    return str(schema.get("type", "any"))
