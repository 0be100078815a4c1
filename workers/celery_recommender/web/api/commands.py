"""Routes that append commands: a body is the data of the command, word for word."""

import hashlib
import re
from typing import Annotated, Any, NamedTuple
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.web.api.bodies import (
    Given,
    Interactions,
    Items,
    body_of,
    many_of,
    takes,
)
from celery_recommender.web.api.callers import AtService, calls, seen
from celery_recommender.web.api.problems import Error, Problem, error_of, refusal, told
from celery_recommender.web.api.waiting import MOST_WAIT_S, Waiting
from celery_recommender.web.security.users import Role
from celery_recommender.web.security.visitors import Visitor
from recommender_engine.errors import InvalidCommand
from recommender_engine.items.command import CollectionCommand
from recommender_engine.items.commands import (
    ConfigureCollection,
    DeleteItem,
    EraseItem,
    EraseUser,
    GiveFeedback,
    MergeUser,
    PatchItem,
    RecordInteraction,
    RecordShownList,
    UpsertItem,
    validate,
)
from recommender_engine.items.events import CommandRejected
from recommender_engine.items.subscriptions import SubscribeList, UnsubscribeList

router = APIRouter(tags=["commands"])

_REJECTED = CommandRejected.type
_KEY_BYTES = 128


class Appended(BaseModel):
    """A command that is in the stream.

    Attributes:
        key: names it; ``GET /outcomes`` knows its outcome by it for 24 hours.
        position: in the stream of commands.
        outcome: the event that answers it, if it was waited for and has come.
    """

    key: str
    position: str
    outcome: dict[str, Any] | None = None


class OneOfMany(BaseModel):
    """One of many commands: where it is, or why it was not sent."""

    key: str | None = None
    position: str | None = None
    error: Error | None = None


class Many(BaseModel):
    """Many commands; ``results`` are in the order of the body.

    Attributes:
        appended: how many are in the stream.
        results: one for each.
    """

    appended: int
    results: list[OneOfMany]


class CommandRoute(NamedTuple):
    """The route of a command.

    Attributes:
        method: of HTTP.
        path: below the door.
        command: whose data the body is.
        role: of the caller.
        published: whether its outcome is an event of the stream.
    """

    method: str
    path: str
    command: type[CollectionCommand]
    role: Role
    published: bool = True


COMMAND_ROUTES = (
    CommandRoute("POST", "/items", UpsertItem, Role.ANSWER),
    CommandRoute("PATCH", "/items", PatchItem, Role.ANSWER),
    CommandRoute("POST", "/items/delete", DeleteItem, Role.ANSWER),
    CommandRoute("POST", "/items/erase", EraseItem, Role.CONFIGURE),
    CommandRoute("POST", "/feedback", GiveFeedback, Role.ANSWER),
    CommandRoute("POST", "/interactions", RecordInteraction, Role.ANSWER, published=False),
    CommandRoute("POST", "/lists/shown", RecordShownList, Role.ANSWER, published=False),
    CommandRoute("POST", "/lists/subscribe", SubscribeList, Role.ANSWER),
    CommandRoute("POST", "/lists/unsubscribe", UnsubscribeList, Role.ANSWER),
    CommandRoute("POST", "/users/merge", MergeUser, Role.ANSWER, published=False),
    CommandRoute("POST", "/users/erase", EraseUser, Role.CONFIGURE),
    CommandRoute("PUT", "/collections/settings", ConfigureCollection, Role.CONFIGURE),
)
"""Every command that a producer may send has one (tests/unit/test_http_api.py)."""


def _idempotency_key(
    request: Request,
    idempotency_key: Annotated[
        str, Header(max_length=_KEY_BYTES, description="A request that is sent again with it has one effect.")
    ] = "",
) -> str:
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        raise InvalidCommand("invalid_key", "stands twice", "Idempotency-Key")
    if idempotency_key and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise InvalidCommand("invalid_key", "printable ASCII characters only", "Idempotency-Key")
    return idempotency_key


IdempotencyKey = Annotated[str, Depends(_idempotency_key)]
Seconds = Annotated[
    float,
    Query(ge=0, le=MOST_WAIT_S, allow_inf_nan=False, description="Wait so many seconds for the outcome."),
]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Appended, "description": "Decided."},
    202: {"model": Appended, "description": "In the stream; to be decided."},
    409: {"model": Problem, "description": "The owner rejected it: it contradicts what is there."},
}


def _add(route: CommandRoute) -> None:
    def append(
        request: Request,
        caller: Annotated[Visitor, Depends(calls(route.role))],
        given: Annotated[Given, Depends(body_of(route.command))],
        service: AtService,
        key: IdempotencyKey,
        wait: Seconds = 0.0,
    ) -> JSONResponse:
        waiting: Waiting = request.app.state.waiting
        collection = seen(caller, given.value.collection)
        name = _key(caller, key)
        fields = signed(caller, route.command, given.fields)
        placed = service.client.send(route.command.type, fields, key=name)
        outcome = waiting.outcome(placed, name, collection, wait, by_key=bool(key) or not route.published)
        return answered(Appended(key=name, position=str(placed), outcome=outcome))

    said, _, _ = (route.command.__doc__ or "").partition("\n\n    Attributes:")
    router.add_api_route(
        route.path,
        append,
        methods=[route.method],
        summary=said.partition(". ")[0].rstrip("."),
        description=said,
        openapi_extra=takes(route.command),
        responses=_RESPONSES,
        response_model=None,
        status_code=202,
        operation_id=re.sub(r"(?<!^)(?=[A-Z])", "_", route.command.__name__).lower(),
    )


for _route in COMMAND_ROUTES:
    _add(_route)


@router.post(
    "/items/bulk",
    summary="Create or replace up to 500 items",
    openapi_extra=takes(Items),
    responses={202: {"model": Many}},
    response_model=None,
    status_code=202,
    operation_id="upsert_items",
)
def append_items(
    caller: Annotated[Visitor, Depends(calls(Role.ANSWER))],
    items: Annotated[list[Any], Depends(many_of("items"))],
    service: AtService,
    key: IdempotencyKey,
) -> JSONResponse:
    """What is invalid is told with its error; the others are appended."""
    return _appended_all(caller, UpsertItem, items, service, key)


@router.post(
    "/interactions/bulk",
    summary="Record up to 500 interactions",
    openapi_extra=takes(Interactions),
    responses={202: {"model": Many}},
    response_model=None,
    status_code=202,
    operation_id="record_interactions",
)
def append_interactions(
    caller: Annotated[Visitor, Depends(calls(Role.ANSWER))],
    interactions: Annotated[list[Any], Depends(many_of("interactions"))],
    service: AtService,
    key: IdempotencyKey,
) -> JSONResponse:
    """What is invalid is told with its error; the others are appended."""
    return _appended_all(caller, RecordInteraction, interactions, service, key)


def _appended_all(
    caller: Visitor, command: type[CollectionCommand], many: list[Any], service: AtService, key: str
) -> JSONResponse:
    results: list[OneOfMany] = []
    names: list[str] = []
    for number, fields in enumerate(many):
        error = _error_of(caller, command, fields)
        results.append(OneOfMany(error=error, key=None if error else _key(caller, key, number)))
        names += [] if error else [results[-1].key or ""]
    good = [fields for fields, one in zip(many, results, strict=True) if one.error is None]
    keys = iter(names)
    placed = iter(service.client.send_many(command.type, good, key=lambda _: next(keys)) if good else ())
    for one in results:
        if one.error is None:
            one.position = str(next(placed))
    content = Many(appended=len(good), results=results).model_dump(exclude_none=True)
    return JSONResponse(content, 202)


def _error_of(caller: Visitor, command: type[CollectionCommand], fields: Any) -> Error | None:
    """Why one of many cannot be sent; ``None``: it can."""
    try:
        if not isinstance(fields, dict):
            raise InvalidCommand("wrong_type", "must be a JSON object")
        value = validate(command, fields)
        command_fields(command.type, fields)  # refuses what is too large
    except InvalidCommand as error:
        return error_of(error)
    return None if caller.sees(value.collection) else refusal("refused_collection")


def signed(caller: Visitor, command: type[CollectionCommand], fields: dict[str, Any]) -> dict[str, Any]:
    """The data of an answer with its author: the caller, and whom the caller names as the person behind it."""
    if command is not GiveFeedback:
        return fields
    by = fields.get("by")
    name = caller.name if by in {None, caller.name} else f"{caller.name}: {by}"
    return validate(GiveFeedback, {**fields, "by": name}).model_dump(exclude_none=True)


def answered(appended: Appended) -> JSONResponse:
    """The response for a command in the stream: decided, rejected, or to be decided."""
    outcome = appended.outcome
    if outcome is not None and outcome["type"] == _REJECTED:
        data = outcome["data"]
        return told(409, Error(code=data["code"], message=data["message"], field=data["field"]), outcome)
    return JSONResponse(appended.model_dump(exclude_none=True), 202 if outcome is None else 200)


def _key(caller: Visitor, given: str, number: int | None = None) -> str:
    """The command's key: the keys of callers do not meet, nor those of one command and of many."""
    name = hashlib.sha256(caller.name.encode()).hexdigest()[:24]
    return f"{name}/{given or uuid4()}" if number is None else f"{name}+{number}/{given or uuid4()}"
