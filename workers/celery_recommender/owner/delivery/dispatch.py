"""Between the outbox and the delivery threads: what has to go into Celery and to endpoints, and what has arrived."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.owner.delivery.feeds import EventFeed
from celery_recommender.owner.delivery.lanes import DeliveryLane, ResultLane
from celery_recommender.owner.delivery.replies import resolve_reply, task_of
from celery_recommender.owner.delivery.threads import Carry, DeliveryJob, DeliveryThread, ReplyJob
from celery_recommender.settings import Settings
from celery_recommender.threads import WorkerThread
from recommender_engine import Recommender
from recommender_engine.items import EntryId
from recommender_engine.store import OutboxRow, Reply

_IDLE_S, _SOON_S = 0.5, 0.05


class Dispatch:
    """Feeds a delivery thread for each lane: results, results that other tasks follow, calls of the user's task, and
    one for each endpoint.

    What has not arrived is offered again after a restart.

    Args:
        engine: whose outbox it is.
        settings: which task of the user's own is called, and with which events.
        commands: the log, which knows the requests that are kept.
        carry: takes outcomes into Celery.
        webhooks: events to each endpoint, by its name.

    Attributes:
        idle_s: for how long nothing need be offered: not long where the delivery threads had no room for all there was.
    """

    def __init__(
        self,
        engine: Recommender,
        settings: Settings,
        commands: CommandsLog,
        carry: Carry,
        webhooks: Mapping[str, EventFeed] | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._commands = commands
        self._results = DeliveryThread(carry, ResultLane("results", commands.forget_request))
        self._followed = DeliveryThread(carry, ResultLane("links", commands.forget_request))
        lane = DeliveryLane(lambda fields: commands.append([fields]), settings.deliver_task, settings.deliver_retry_s)
        self._calls = EventFeed(DeliveryThread(carry, lane), self._call) if settings.deliver_task else None
        self._webhooks = dict(webhooks or {})
        self._feeds = (*([self._calls] if self._calls else []), *self._webhooks.values())
        self.threads: Sequence[WorkerThread] = (self._results, self._followed, *(feed.thread for feed in self._feeds))
        self.idle_s = _IDLE_S
        self._offered_reply = 0
        self._unclaimed: list[int] = []

    def start(self) -> None:
        """Begin where the last run ended. Where delivery begins at all is noted: a kill must not move it."""
        engine = self._engine
        self._results.start()
        self._followed.start()
        if self._calls:
            if engine.delivered is None:
                engine.acknowledge(delivered=engine.last_event)
            self._calls.start(engine.delivered or engine.last_event)
        known = engine.notes.received()
        begin = {name: known.get(name, engine.last_event) for name in self._webhooks}
        if begin != known:
            engine.notes.keep_received(begin)
        for name, feed in self._webhooks.items():
            feed.start(begin[name])

    def offer(self) -> None:
        """Give the delivery threads what they have room for."""
        room = min(self._results.room, self._followed.room)
        waiting = self._engine.outbox.replies(self._offered_reply, room)
        self._offer_replies(waiting)
        more = [feed.offer(self._engine.outbox) for feed in self._feeds]
        self.idle_s = _SOON_S if 0 < room == len(waiting) or any(more) else _IDLE_S

    def acknowledge(self) -> None:
        """Note what has arrived."""
        engine = self._engine
        arrived = [job for thread in (self._results, self._followed) for job in thread.arrived()]
        replied = [job.id for job in arrived if isinstance(job, ReplyJob)] + self._unclaimed
        delivered = self._calls.received if self._calls and self._calls.collect() else None
        if replied or delivered:
            engine.acknowledge(replied=replied, delivered=delivered)
            self._unclaimed = []
        moved = [name for name, feed in self._webhooks.items() if feed.collect()]
        if moved:
            engine.notes.keep_received({name: feed.received for name, feed in self._webhooks.items()})

    def finish(self, timeout_s: float) -> None:
        """Let the delivery threads finish, for at most ``timeout_s`` seconds, and note what arrived."""
        deadline_s = time.monotonic() + timeout_s
        for thread in self._lanes:
            thread.finish(max(0.0, deadline_s - time.monotonic()))
        self.acknowledge()

    def stop(self) -> None:
        """Deliver no more, whatever is left."""
        for thread in self._lanes:
            thread.stop(0.0)

    def facts(self) -> dict[str, Any]:
        """For the status, by lane: how many jobs wait, and why if none arrives."""
        return {"lanes": {thread.lane.name: thread.facts() for thread in self._lanes}}

    def sent(self, published: EntryId) -> EntryId:
        """Up to where events have been published, and delivered where they are to be."""
        return min([published, *(feed.received for feed in self._feeds)])

    @property
    def _lanes(self) -> Sequence[DeliveryThread]:
        return (self._results, self._followed, *(feed.thread for feed in self._feeds))

    def _call(self, row: OutboxRow) -> DeliveryJob | None:
        """The call of the user's task, where it is called with such events."""
        wanted = row.type in self._settings.deliver_types
        return DeliveryJob(row.id, json.loads(row.event)) if wanted else None

    def _offer_replies(self, waiting: Sequence[Reply]) -> None:
        """Outcomes for tasks that wait. A reply to an address without a kept request is dropped."""
        if not waiting:
            return
        known = self._commands.known_requests([task_of(reply) for reply in waiting])
        self._offered_reply = waiting[-1].id
        self._unclaimed += [reply.id for reply in waiting if task_of(reply) not in known]
        for thread, followed in ((self._results, False), (self._followed, True)):
            thread.put(
                [resolve_reply(reply, self._engine) for reply in waiting if known.get(task_of(reply)) is followed]
            )
