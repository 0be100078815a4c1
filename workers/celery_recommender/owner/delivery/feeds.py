"""Events from the outbox to one receiver: the task of the user's own, or an endpoint."""

from __future__ import annotations

from collections.abc import Callable

from celery_recommender.owner.delivery.threads import DeliveryThread, Job
from recommender_engine.items import START, EntryId
from recommender_engine.store import Outbox, OutboxRow


class EventFeed:
    """Offers events to a delivery thread in their order, and knows up to where they have arrived.

    Args:
        thread: delivers them.
        job: what is delivered of a row of the outbox; ``None``: nothing.

    Attributes:
        received: the last event behind which nothing is left to deliver before it, given up or not.
    """

    def __init__(self, thread: DeliveryThread, job: Callable[[OutboxRow], Job | None]) -> None:
        self.thread = thread
        self._job = job
        self.received = self._offered = START
        self._under_way = 0  # offered, and not arrived yet

    def start(self, after: EntryId) -> None:
        """Begin behind an event."""
        self.received = self._offered = after
        self.thread.start()

    def offer(self, outbox: Outbox) -> bool:
        """Give the thread what it has room for; whether there may be more."""
        room = self.thread.room
        rows = outbox.after(self._offered, room)
        if not rows:
            return False
        self._offered = rows[-1].id
        jobs = [job for row in rows if (job := self._job(row)) is not None]
        self._under_way += len(jobs)
        self.thread.put(jobs)
        return room == len(rows)

    def collect(self) -> bool:
        """Note what has arrived; whether anything has."""
        before = self.received
        for job in self.thread.arrived():
            self._under_way -= 1
            if isinstance(job.id, EntryId):
                self.received = max(self.received, job.id)
        if not self._under_way:  # events behind the last one are not for this receiver
            self.received = max(self.received, self._offered)
        return self.received != before
