"""What every request must satisfy, and the headers of every response."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
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
_READS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """Refuses requests for another host, from another origin, or with too large a body.

    A page of a stranger may have the name of its own host point to this machine (DNS rebinding), so a name in the
    header ``Host`` counts only if it is known; a name that is an address cannot be pointed anywhere.

    Args:
        app: the application.
        hosts: names under which the page is reached.
        larger: size of a request's body by path, where it may be larger than `MOST_BYTES`.
        loopback: whether it listens on loopback only, where other addresses are refused too.
    """

    def __init__(
        self, app: ASGIApp, hosts: Sequence[str], *, loopback: bool, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
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
        refusal = self._refusal(scope["method"], headers, most)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, _bounded(receive, most), _with_headers(send))

    def _refusal(self, method: str, headers: Headers, most: int) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return PlainTextResponse(
                "This page is not known under the name in the Host header. RECOMMENDER_WEB_HOSTS lists its names.\n",
                421,
            )
        if method not in _READS and not _same_origin(host, headers):
            return PlainTextResponse("The request comes from another page.\n", 403)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            return PlainTextResponse(f"At most {most} bytes are accepted.\n", 413)
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
    """A body without a length is cut off at the bound: what is cut is no form and no JSON."""
    size = 0

    async def wrapped() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > most:
                return {"type": "http.disconnect"}
        return message

    return wrapped
