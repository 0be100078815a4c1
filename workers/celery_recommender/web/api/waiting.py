"""Waiting for the outcome of a command, for a bounded number of requests at a time."""

from __future__ import annotations

import time
from threading import BoundedSemaphore
from typing import Any

from celery_recommender.web.service.service import OwnerAway, Service
from recommender_engine.items import EntryId

MOST_WAIT_S = 30.0
_MOST_WAITING = 16
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class Waiting:
    """Waits for outcomes. Each request that waits holds a thread, so those beyond a bound do not wait.

    Args:
        service: that asks.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._places = BoundedSemaphore(_MOST_WAITING)

    def outcome(
        self, placed: EntryId, key: str, collection: str, seconds: float, *, by_key: bool
    ) -> dict[str, Any] | None:
        """The event that answers a command; ``None``: it did not come in time.

        Args:
            placed: position of the command.
            key: of the command.
            collection: of the command.
            seconds: how long to wait.
            by_key: ask for the outcome of the key: a command whose key was used before, or whose outcome is not
                published, has no event in the stream.
        """
        if not seconds or not self._places.acquire(blocking=False):
            return None
        try:
            return self._by_key(key, collection, seconds) if by_key else self._in_stream(placed, seconds)
        finally:
            self._places.release()

    def _in_stream(self, placed: EntryId, seconds: float) -> dict[str, Any] | None:
        try:
            return self._service.client.outcome(placed, timeout_s=seconds)
        except TimeoutError:
            return None

    def _by_key(self, key: str, collection: str, seconds: float) -> dict[str, Any] | None:
        end, pause = time.monotonic() + seconds, _FIRST_PAUSE_S
        while True:
            try:
                found: dict[str, Any] | None = self._service.ask("recommender.outcomes", [key], collection=collection)[
                    0
                ]
            except OwnerAway:
                found = None
            if found is not None or time.monotonic() + pause > end:
                return found
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
