"""HTTP connections whose requests have to begin, and end their headers, in time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0
"""Time in which the headers of a request have to arrive."""


class Punctual(H11Protocol):
    """Closes a connection that says nothing, or does not end its headers: uvicorn counts it, and waits without end."""

    def connection_made(self, transport: Any) -> None:
        """Wait for a request."""
        super().connection_made(transport)
        self._before: object = None
        self._late: asyncio.TimerHandle = self.loop.call_later(HEAD_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Take what has come; the headers of another request on this connection are waited for likewise."""
        if self.cycle is not self._before and self.cycle.response_complete:
            self._late.cancel()
            self._before, self._late = self.cycle, self.loop.call_later(HEAD_S, self._give_up)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._late.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        """Close it, unless a request has begun since."""
        if self.cycle is self._before and not self.transport.is_closing():
            self.transport.close()
