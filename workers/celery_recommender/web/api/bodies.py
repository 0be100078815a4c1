"""Bodies of requests: strict JSON, checked as the owner checks them, described for OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, Request
from pydantic import Field
from starlette.requests import ClientDisconnect

from celery_recommender.web.security.guard import BODY_S, MOST_BYTES
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import limits
from recommender_engine.items.commands import RecordInteraction, UpsertItem, parse_json, validate
from recommender_engine.items.list_request import Filter, ListRequest
from recommender_engine.items.values import Id, Text, Value

MOST_AT_ONCE = 500
"""Commands in one request."""
REF = "#/components/schemas/{model}"

M = TypeVar("M", bound=Value)


class Search(Value):
    """What is searched for, by meaning and words.

    Attributes:
        text: the question.
        collection: where to search.
        limit: most hits.
        offset: hits that are left out before; with ``limit`` at most 1,000.
        filter: only items with such attributes.
    """

    text: Annotated[Text, Field(min_length=1)]
    collection: Id = "default"
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    offset: Annotated[int, Field(ge=0, le=999)] = 0
    filter: Filter | None = None


class Compared(Value):
    """Two texts, or two stored items, to be compared.

    Attributes:
        one: a text, an item, or ``{"id"}`` alone: the item that is stored under it.
        other: the same.
        collection: in which ``one`` arrives after ``other``.
    """

    one: Text | dict[str, Any]
    other: Text | dict[str, Any]
    collection: Id = "default"


class Items(Value):
    """Many items at once.

    Attributes:
        items: each as in a request of one.
    """

    items: Annotated[list[UpsertItem], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Interactions(Value):
    """Many interactions at once.

    Attributes:
        interactions: each as in a request of one.
    """

    interactions: Annotated[list[RecordInteraction], Field(min_length=1, max_length=MOST_AT_ONCE)]


BODIES: tuple[type[Value], ...] = (Search, Compared, ListRequest, Items, Interactions)
"""Bodies that are no data of a command."""


class NotJson(Exception):
    """The content type of the body is not JSON."""


class Given(NamedTuple):
    """A body: as it was sent, and what it says.

    Attributes:
        fields: the object that was sent.
        value: it, checked.
    """

    fields: dict[str, Any]
    value: Any


def body_of(model: type[M]) -> Callable[[Request], Any]:
    """A dependency that reads a body and checks it as a model.

    Raises (by the dependency):
        NotJson: its content type is another.
        InvalidCommand: it names the field, as for a message in the stream.
    """

    async def read(request: Request) -> Given:
        fields = await _object(request, limits.MAX_MESSAGE_BYTES, limits.MAX_NESTING)
        return Given(fields, validate(model, fields))

    return read


def many_of(name: str) -> Callable[[Request], Any]:
    """A dependency that reads a body with a list under a name; what is in it is not checked yet."""

    async def read(request: Request) -> list[Any]:
        fields = await _object(request, MOST_BYTES, limits.MAX_NESTING + 2)
        many = fields.get(name)
        if fields.keys() != {name} or not isinstance(many, list) or not 1 <= len(many) <= MOST_AT_ONCE:
            raise InvalidCommand(
                "invalid_value", f"the body must be {{{name!r}: [...]}} with 1 to {MOST_AT_ONCE} of them", name
            )
        return many

    return read


def takes(model: type[Value], **more: Any) -> dict[str, Any]:
    """The request's body for the OpenAPI document."""
    schema = {"$ref": REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, **more}}}}


async def _object(request: Request, most_bytes: int, most_nesting: int) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or request.headers.get("content-encoding", "identity") != "identity":
        raise NotJson
    try:
        body = await request.body()
    except ClientDisconnect:
        raise InvalidCommand("too_large", f"at most {MOST_BYTES} bytes are accepted, in {BODY_S:g} seconds") from None
    fields = parse_json(body, most_bytes, most_nesting)
    if not isinstance(fields, dict):
        raise InvalidCommand("wrong_type", "the body must be a JSON object")
    return fields


SearchBody = Annotated[Given, Depends(body_of(Search))]
CompareBody = Annotated[Given, Depends(body_of(Compared))]
ListBody = Annotated[Given, Depends(body_of(ListRequest))]
