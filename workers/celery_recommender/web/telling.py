"""What a visitor is told where a request fails."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.web.jobs.store import NoRoom
from celery_recommender.web.security.visitors import LogInFirst, Refused
from celery_recommender.web.service.service import OwnerAway
from celery_recommender.web.shown.rendering import Rendering
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.event_log import event_log

log = event_log(__name__)


def tell_errors(app: FastAPI) -> None:
    """Answer each error that a page may raise with a page, or the part of one that htmx asked for."""
    app.exception_handler(LogInFirst)(_log_in_first)
    app.exception_handler(Refused)(_refused)
    app.exception_handler(OwnerAway)(_away)
    app.exception_handler(NoRoom)(_no_room)
    app.exception_handler(RedisError)(_server_away)
    app.exception_handler(Overloaded)(_overloaded)
    app.exception_handler(InvalidCommand)(_invalid)
    app.exception_handler(RequestValidationError)(_malformed)
    app.exception_handler(ConfigurationError)(_misconfigured)
    app.exception_handler(HTTPException)(_http)


def _told(request: Request, code: str, status: int, detail: str = "") -> Response:
    part = "hx-request" in request.headers
    rendering: Rendering = request.app.state.rendering
    return rendering.page(request, "told_part.html" if part else "told.html", status, code=code, detail=detail)


async def _log_in_first(request: Request, error: LogInFirst) -> Response:
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    return RedirectResponse("/login", 303)


async def _refused(request: Request, error: Refused) -> Response:
    return _told(request, error.code, 403)


async def _away(request: Request, error: OwnerAway) -> Response:
    return _told(request, f"owner_{error.state}", 503)


async def _server_away(request: Request, error: RedisError) -> Response:
    log.warning("web.server_away", extra={"error": f"{type(error).__name__}: {error}"})
    return _told(request, "owner_unreachable", 503)


async def _no_room(request: Request, error: NoRoom) -> Response:
    return _told(request, "no_room", 507)


async def _overloaded(request: Request, error: Overloaded) -> Response:
    response = _told(request, "overloaded", 429)
    response.headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    return response


async def _invalid(request: Request, error: InvalidCommand) -> Response:
    return _told(request, "invalid", 422, str(error))


async def _malformed(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return _told(request, "invalid", 422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")


async def _misconfigured(request: Request, error: ConfigurationError) -> Response:
    log.error("web.configuration", extra={"error": str(error)})
    return _told(request, "misconfigured", 503)


async def _http(request: Request, error: HTTPException) -> Response:
    return _told(request, "not_found" if error.status_code == 404 else "invalid", error.status_code)
