"""Cookies of the page: the session, and the language that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from celery_recommender.web.security.visitors import COOKIE, SESSION, Visitors

LANGUAGE_COOKIE = "recommender_language"
_YEAR_S = 31_536_000


class Cookies:
    """Sets the cookie of a session where a token was made, and that of a language where ``?lang=`` names one.

    Args:
        app: the application.
        visitors: who know whether the browser speaks TLS.
        languages: that can be chosen.
    """

    def __init__(self, app: ASGIApp, visitors: Visitors, languages: Sequence[str]) -> None:
        self._app = app
        self._visitors = visitors
        self._languages = languages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._set(request, MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, wrapped)

    def _set(self, request: HTTPConnection, headers: MutableHeaders) -> None:
        secure = self._visitors.is_secure(request)
        given = Response()
        token, language = request.scope.get(SESSION), request.query_params.get("lang")
        if token is not None:
            given.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=secure)
        if language is not None and language in self._languages:
            given.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure)
        for cookie in given.headers.getlist("set-cookie"):
            headers.append("set-cookie", cookie)
