"""Events as they come, read once for all browsers of a process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis.exceptions import RedisError

from celery_recommender.client import Client
from celery_recommender.threads import WorkerThread
from recommender_engine.items import EntryId

Event = dict[str, Any]
MOST_KEPT = 200
"""Events that wait for a browser; of a larger burst it gets the newest."""
MOST_READERS = 200
_RETRY_S = 1.0


class TooManyReaders(Exception):
    """No more browsers can follow the events of this process."""


class Reader:
    """Events that wait for one browser.

    Args:
        wanted: which events it gets.
    """

    def __init__(self, wanted: Callable[[Event], bool]) -> None:
        self._wanted = wanted
        self._waiting: deque[Event] = deque()
        self._lock = threading.Lock()
        self._missed = 0

    def put(self, event: Event) -> None:
        """Add an event, if it is wanted."""
        if not self._wanted(event):
            return
        with self._lock:
            self._waiting.append(event)
            if len(self._waiting) > MOST_KEPT:
                self._waiting.popleft()
                self._missed += 1

    def take(self) -> tuple[list[Event], int]:
        """What waits, in order, and how many were left out before it."""
        with self._lock:
            taken, missed = list(self._waiting), self._missed
            self._waiting.clear()
            self._missed = 0
        return taken, missed


class Feed:
    """Follows the events streams while there are readers, from what is new on.

    Args:
        client: reads the streams; its connection is used by one thread at a time and shared.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._readers: set[Reader] = set()
        self._lock = threading.Lock()
        self._thread: _Following | None = None

    @contextmanager
    def reader(self, wanted: Callable[[Event], bool]) -> Iterator[Reader]:
        """A reader of the events for which ``wanted`` is true.

        Raises:
            TooManyReaders: there are as many as a process serves.
        """
        reader = Reader(wanted)
        with self._lock:
            if len(self._readers) >= MOST_READERS:
                raise TooManyReaders
            self._readers.add(reader)
            if self._thread is None:
                self._thread = _Following(self._client, self._deliver)
                self._thread.start()
        try:
            yield reader
        finally:
            with self._lock:
                self._readers.discard(reader)
                if not self._readers and self._thread is not None:
                    self._thread.stop(0.0)
                    self._thread = None

    def close(self) -> None:
        """Stop reading."""
        with self._lock:
            if self._thread is not None:
                self._thread.stop(0.0)
                self._thread = None

    def _deliver(self, event: Event) -> None:
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.put(event)


class _Following(WorkerThread):
    """The thread that reads; a server that is away is tried again from where the last event was."""

    def __init__(self, client: Client, deliver: Callable[[Event], None]) -> None:
        super().__init__("web-feed")
        self._client = client
        self._deliver = deliver
        self._places: dict[str, EntryId] = {}

    def work(self) -> None:
        """Follow until told to stop."""
        while not self._stopping.is_set():
            with suppress(RedisError):
                self._follow()
            self._stopping.wait(_RETRY_S)

    def _follow(self) -> None:
        self._places = self._places or self._client.last_events()
        for event in self._client.events(dict(self._places), until=self._stopping.is_set):
            partition = str(event["source"]).rpartition("/")[2]
            self._places[partition] = EntryId.parse(event["id"])
            self._deliver(event)
