"""What every request must satisfy, and the headers of every response."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
MOST_BYTES = 1 << 20
"""Size of a request's body."""
_LONGEST_LENGTH = 18  # digits of a Content-Length; Python reads no number of thousands of them
MOST_HEADER_BYTES = 32 * 1024
"""Size of its headers together."""
BODY_S = 30.0
"""Time in which a body has to arrive; more in proportion where it may be larger."""
_READS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """Refuses requests for another host, from another origin, or with too large headers or too large or slow a body.

    A page of a stranger may have the name of its own host point to this machine (DNS rebinding), so a name in the
    header ``Host`` counts only if it is known; a name that is an address cannot be pointed anywhere.

    Args:
        app: the application.
        hosts: names under which the page is reached.
        larger: size of a request's body by path, where it may be larger than `MOST_BYTES`.
        loopback: whether it listens on loopback only, where other addresses are refused too.
        api: where the addresses of the API begin: its refusals are JSON, and its paths have nothing escaped, so that a
            proxy that permits some of them reads the same path.
    """

    def __init__(
        self, app: ASGIApp, hosts: Sequence[str], *, loopback: bool, larger: Mapping[str, int] | None = None, api: str
    ) -> None:
        self._app = app
        self._api = api
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._loopback = loopback
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._larger.get(scope["path"], MOST_BYTES)
        refusal = self._refusal(scope, headers, most)
        if refusal is not None:
            await self._response(scope["path"], *refusal)(scope, receive, _with_headers(send))
            return
        await self._app(scope, _bounded(receive, most), _with_headers(send))

    def _response(self, path: str, status: int, code: str, message: str) -> Response:
        if path.startswith(f"{self._api}/"):
            return JSONResponse({"error": {"code": code, "message": message}}, status)
        return PlainTextResponse(f"{message}\n", status)

    def _refusal(self, scope: Scope, headers: Headers, most: int) -> tuple[int, str, str] | None:
        """Status, code and message."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return (
                421,
                "unknown_host",
                "This page is not known under the name in the Host header. RECOMMENDER_WEB_HOSTS lists its names.",
            )
        if scope["method"] not in _READS and not _same_origin(host, headers):
            return 403, "other_origin", "The request comes from another page."
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            return 431, "too_large", f"At most {MOST_HEADER_BYTES} bytes of headers are accepted."
        if scope["path"].startswith(f"{self._api}/") and b"%" in scope.get("raw_path", b""):
            return 404, "not_found", "No path of the API has escaped characters."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > _LONGEST_LENGTH or int(length) > most:
            return 413, "too_large", f"At most {most} bytes are accepted."
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback


def _same_origin(host: str, headers: Headers) -> bool:
    """Whether a request that changes something comes from our own page, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # no address at all
        return False


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            found = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                found[name] = value
            found.setdefault("cache-control", "no-store")
        await send(message)

    return wrapped


def _bounded(receive: Receive, most: int) -> Receive:
    """A body without a length, or without an end, is cut off at the bound: what is cut is no form and no JSON."""
    size, arrived = 0, False
    until_s = time.monotonic() + BODY_S * max(1.0, most / MOST_BYTES)

    async def wrapped() -> Message:
        nonlocal size, arrived
        if arrived:  # what is waited for is the end of the connection
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), until_s - time.monotonic())
        except TimeoutError:
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            arrived = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > most:
                return {"type": "http.disconnect"}
        return message

    return wrapped
