"""Publishes what is committed, in order, and knows the last event that is published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from redis.exceptions import OutOfMemoryError

from celery_recommender.broker.events.stream import EventsSetBack, EventsStream
from celery_recommender.broker.redis.availability import AWAY
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import START, CommandRejected, EntryId
from recommender_engine.store import OutboxRow

log = event_log(__name__)

_AT_ONCE, _AT_ONCE_BYTES = 500, 2 << 20
_ON_THE_WAY = 4  # times its size: data being sent is in memory several times
_TRIES = 3  # to make room


class Publisher:
    """Moves events from the outbox to the events stream.

    After an error it asks the stream for its last entry and sends everything behind that again: no entry is written
    twice.

    Args:
        engine: whose outbox it is.
        events: the stream.
    """

    def __init__(self, engine: Recommender, events: EventsStream) -> None:
        self._engine = engine
        self._events = events
        self._published = START
        self._certain = False

    def take_over(self, recover: Callable[[EntryId], None] | None) -> None:
        """Make sure that the stream and the state belong together.

        Args:
            recover: called with the last entry of the stream if the state is behind it; ``None``: the state is new.

        Raises:
            EventsConflict: the state cannot come from where the stream is.
        """
        last = self._events.last_id()
        if last <= self._engine.last_event:
            return
        if recover is not None:
            recover(last)
            return
        log.warning("publisher.empty_state_takes_over", extra={"last_event": str(last)})
        self._engine.continue_after(last)

    def publish(self) -> bool:
        """Publish what is there; false if the server was away, and it has to be tried again."""
        try:
            while not self._publish_with_room():
                pass
        except OutOfMemoryError as error:
            log.warning("publisher.server_full", extra={"error": str(error)})
            return False
        except AWAY as error:
            self._certain = False
            log.warning("publisher.server_away", extra={"error": str(error)})
            return False
        return True

    def _publish_with_room(self) -> bool:
        """Publish some; where events have filled the server, the oldest make room: they can be read from the store."""
        for _ in range(_TRIES):
            try:
                return self._publish_some()
            except OutOfMemoryError:
                dropped = self._events.make_room(_ON_THE_WAY * _AT_ONCE_BYTES)
                if not dropped:
                    raise
                log.warning("publisher.made_room", extra={"events": dropped})
        return self._publish_some()

    def _publish_some(self) -> bool:
        """Publish one transaction's worth; whether there was nothing left."""
        if not self._certain:
            self._published, self._certain = self._events.last_id(), True
        rows = self._next()
        if not rows:
            return True
        try:
            self._events.publish(rows, after=self._published)
        except EventsSetBack as error:
            log.error("publisher.stream_was_reset", extra={"error": str(error), "published": str(self._published)})
            self._certain = False
        else:
            self._published = rows[-1].id
        return False

    def _next(self) -> list[OutboxRow]:
        """The next events, with what their dead letters hold; few where they are long."""
        rows: list[OutboxRow] = []
        bytes_ = 0
        for row in self._engine.outbox.after(self._published, _AT_ONCE):
            rejection = row.type == CommandRejected.type
            payload = self._engine.outbox.payloads.get(row.id) if rejection else None
            bytes_ += len(row.event) * (2 if rejection else 1) + len(payload or b"")
            if rows and bytes_ > _AT_ONCE_BYTES:
                break
            rows.append(row if payload is None else replace(row, payload=payload))
        return rows

    def check(self) -> None:
        """Notice a stream that was lost or reset while nothing was published, and remove what an erasure demands."""
        if self._certain and self._events.last_id() < self._published:
            log.error("publisher.stream_was_reset", extra={"published": str(self._published)})
            self._certain = False
        if redactions := self._engine.outbox.redactions():
            self._events.remove(redactions)
            self._engine.acknowledge(redacted=redactions)

    def backlog(self) -> int:
        """Events committed and not published."""
        return self._engine.outbox.count_after(self._published)

    @property
    def certain(self) -> bool:
        """Whether it knows the last entry of the stream: the server has not been away since it looked."""
        return self._certain

    @property
    def published(self) -> EntryId:
        """The last event known to be in the stream."""
        return self._published
