"""Sends requests to one endpoint, from the standard library: no redirect is followed, no proxy is asked."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from celery_recommender.webhooks.addresses import connect
from celery_recommender.webhooks.endpoints import Endpoint

MOST_READ = 64 * 1024
_LONGEST_PAUSE_S = 3600.0
_OF_THE_BODY = frozenset({400, 413, 422})


class NotAccepted(Exception):
    """An endpoint answered with something else than success, or did not answer.

    Attributes:
        retry_after_s: seconds that it asked for, at most an hour; 0: it asked for none.
        of_the_body: whether the answer may be about this one body, so that others are worth a try.
    """

    def __init__(self, reason: str, *, retry_after_s: float = 0.0, of_the_body: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.of_the_body = of_the_body


class Connection:
    """A connection to an endpoint, kept while the endpoint keeps it; used by one thread.

    Args:
        endpoint: where requests go.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.url)
        self._endpoint = endpoint
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._http = _Checked(endpoint)

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send one request; returns when the endpoint has taken it.

        Raises:
            NotAccepted: it has not; the reason names neither the URL nor what the endpoint wrote.
        """
        try:
            with self._within(self._endpoint.timeout_s):
                self._http.request("POST", self._target, body=body, headers=dict(headers))
                response = self._http.getresponse()
                self._drain(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise NotAccepted(_reason(error)) from error
        if not 200 <= response.status < 300:
            raise NotAccepted(
                f"it answered {response.status}",
                retry_after_s=_seconds(response.getheader("Retry-After", "")),
                of_the_body=response.status in _OF_THE_BODY,
            )

    def close(self) -> None:
        """Close it; the next request opens another."""
        with suppress(OSError):
            self._http.close()

    def _drain(self, response: http.client.HTTPResponse) -> None:
        """Read what follows the status, which has said everything; the connection of one that says more is closed."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            response.read(MOST_READ)
        if not response.isclosed():
            self.close()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Cut the connection after so many seconds: a timeout of a socket begins anew at each byte."""
        cut = threading.Timer(seconds, self._cut)
        cut.daemon = True
        cut.start()
        try:
            yield
        finally:
            cut.cancel()

    def _cut(self) -> None:
        if (connected := self._http.sock) is not None:
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # that of TLS forgets its state, which is in use


class _Checked(http.client.HTTPConnection):
    """Connects to an address that may be connected to."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.default_port = 443 if endpoint.tls else 80  # the Host header leaves it out
        super().__init__(endpoint.host, endpoint.port, timeout=endpoint.timeout_s)
        self._endpoint = endpoint
        self._tls = ssl.create_default_context() if endpoint.tls else None

    def connect(self) -> None:
        """Connect, and see the endpoint's certificate."""
        one = self._endpoint
        plain = connect(one.host, one.port, one.allow, public=one.tls, timeout_s=one.timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = plain
        if self._tls is not None:
            encrypted = self._tls.wrap_socket(plain, server_hostname=one.host, do_handshake_on_connect=False)
            self.sock = encrypted
            encrypted.do_handshake()


def _seconds(retry_after: str) -> float:
    """``Retry-After`` in seconds; dates are not read."""
    return min(float(retry_after), _LONGEST_PAUSE_S) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.HTTPException | ValueError):
        return f"its answer is no HTTP ({type(error).__name__})"
    return f"{type(error).__name__}: {error}"
