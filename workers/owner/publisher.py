"""Publishes what is committed, in order, and knows how far it has come."""

from __future__ import annotations

import logging

from recommender import Recommender
from recommender.items import START, EntryId
from workers.broker.availability import AWAY
from workers.broker.events_stream import EventsConflict, EventsSetBack, EventsStream

log = logging.getLogger(__name__)

_AT_ONCE = 500


class Publisher:
    """Moves events from the outbox to the events stream.

    After anything went wrong it asks the stream how far it is and sends everything behind that again: an entry that
    stands there already is not written twice.

    Args:
        events: the stream.
    """

    def __init__(self, events: EventsStream) -> None:
        self._events = events
        self._published = START
        self._certain = False

    def take_over(self, engine: Recommender) -> None:
        """Make sure that the stream and the state belong together.

        Raises:
            EventsConflict: the state is older than the stream.
        """
        last = self._events.last_id()
        if last <= engine.last_event:
            return
        if engine.position != START:
            raise EventsConflict(
                f"the events stream is at {last}, but this state directory knows events up to {engine.last_event} only:"
                " it is an older copy; restore the newest backup"
            )
        log.warning("publisher.empty_state_takes_over", extra={"last_event": str(last)})
        engine.continue_after(last)

    def publish(self, engine: Recommender) -> bool:
        """Publish what is there; false if the server was away, and it has to be tried again."""
        try:
            while not self._publish_some(engine):
                pass
        except AWAY as error:
            self._certain = False
            log.warning("publisher.server_away", extra={"error": str(error)})
            return False
        return True

    def _publish_some(self, engine: Recommender) -> bool:
        """Publish one transaction's worth; whether there was nothing left."""
        if not self._certain:
            self._published, self._certain = self._events.last_id(), True
        rows = engine.outbox.after(self._published, _AT_ONCE)
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

    def check(self, engine: Recommender) -> None:
        """Notice a stream that was lost or reset while nothing was published, and remove what an erasure demands."""
        if self._certain and self._events.last_id() < self._published:
            log.error("publisher.stream_was_reset", extra={"published": str(self._published)})
            self._certain = False
        if redactions := engine.outbox.redactions():
            self._events.remove(redactions)
            engine.acknowledge(redacted=redactions)

    def backlog(self, engine: Recommender) -> int:
        """Events committed and not published."""
        return engine.outbox.count_after(self._published)

    @property
    def published(self) -> EntryId:
        """The last event known to stand in the stream."""
        return self._published
