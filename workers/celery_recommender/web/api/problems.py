"""What a caller is told: answers for the document, and errors with code, message and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.web.api.bodies import REF, NotJson
from celery_recommender.web.security.visitors import LogInFirst, Refused
from celery_recommender.web.service.service import OwnerAway
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.event_log import event_log

log = event_log(__name__)

_AGAIN = {"retry-after": "2"}
_REFUSALS = {
    "refused_role": "the role of this key does not permit it",
    "refused_collection": "this key is limited to other collections",
    "refused_past_proxy": "requests come through the proxy only",
    "refused_name": "the user's name cannot be used",
}


class Error(BaseModel):
    """Why a request failed.

    Attributes:
        code: for programs; the codes of rejected commands, and those of the door.
        message: for people.
        field: that is wrong, if it is one.
    """

    code: str
    message: str
    field: str | None = None


class Problem(BaseModel):
    """A request that failed.

    Attributes:
        error: why.
        outcome: the event that says so, where a command was decided.
    """

    error: Error
    outcome: dict[str, Any] | None = None


def told(
    status: int, error: Error, outcome: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response for an error."""
    content = Problem(error=error, outcome=outcome).model_dump(exclude_none=True)
    return JSONResponse(content, status, headers=headers)


def error_of(invalid: InvalidCommand) -> Error:
    """What a refused command says."""
    return Error(code=invalid.code, message=str(invalid), field=invalid.field)


def refusal(code: str) -> Error:
    """What a caller is told who may not do it."""
    return Error(code=code, message=_REFUSALS.get(code, "not permitted"))


def gives(model: str, *, many: bool = False, nullable: bool = False) -> dict[int | str, dict[str, Any]]:
    """The response for the OpenAPI document: a model of the engine's answers, or a list of them."""
    schema: dict[str, Any] = {"$ref": REF.format(model=model)}
    if nullable:
        schema = {"anyOf": [schema, {"type": "null"}]}
    if many:
        schema = {"type": "array", "items": schema}
    content = {"application/json": {"schema": schema}}
    return {200: {"description": "The answer.", "content": content}}


MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "It is not there."}}


def missing() -> JSONResponse:
    """The response where what a question names is not there."""
    return told(404, Error(code="not_found", message="the item, or the collection, is not there"))


def tell_problems(api: FastAPI) -> None:
    """Answer each error that a request may raise as JSON."""
    api.exception_handler(LogInFirst)(_log_in_first)
    api.exception_handler(Refused)(_refused)
    api.exception_handler(OwnerAway)(_away)
    api.exception_handler(RedisError)(_server_away)
    api.exception_handler(Overloaded)(_overloaded)
    api.exception_handler(InvalidCommand)(_invalid)
    api.exception_handler(NotJson)(_not_json)
    api.exception_handler(RequestValidationError)(_malformed)
    api.exception_handler(ConfigurationError)(_misconfigured)
    api.exception_handler(HTTPException)(_http)


async def _log_in_first(request: Request, error: LogInFirst) -> JSONResponse:
    message = "a key is needed: Authorization: Bearer KEY"
    return told(401, Error(code="no_key", message=message), headers={"www-authenticate": "Bearer"})


async def _refused(request: Request, error: Refused) -> JSONResponse:
    return told(403, refusal(error.code))


async def _away(request: Request, error: OwnerAway) -> JSONResponse:
    message = f"no worker answers: it is {error.state}"
    return told(503, Error(code=f"owner_{error.state}", message=message), headers=_AGAIN)


async def _server_away(request: Request, error: RedisError) -> JSONResponse:
    log.warning("web.server_away", extra={"error": type(error).__name__})
    message = "the server of the streams does not answer; send the request again, with the same Idempotency-Key"
    return told(503, Error(code="owner_unreachable", message=message), headers=_AGAIN)


async def _overloaded(request: Request, error: Overloaded) -> JSONResponse:
    seconds = str(max(1, round(error.retry_after_s)))
    return told(429, Error(code="overloaded", message=str(error)), headers={"retry-after": seconds})


async def _invalid(request: Request, error: InvalidCommand) -> JSONResponse:
    return told(413 if error.code == "too_large" else 422, error_of(error))


async def _not_json(request: Request, error: NotJson) -> JSONResponse:
    return told(415, Error(code="not_json", message="the content type must be application/json"))


async def _malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"][1:])) or None
    return told(422, Error(code="invalid_value", message=f"{field}: {first['msg']}", field=field))


async def _misconfigured(request: Request, error: ConfigurationError) -> JSONResponse:
    log.error("web.configuration", extra={"error": str(error)})
    return told(503, Error(code="misconfigured", message="this server is not set up for it; its log says why"))


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    return told(error.status_code, Error(code=code, message=str(error.detail)), headers=error.headers)
