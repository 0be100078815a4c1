"""Between the outbox and the delivery threads: what has to go into Celery, and what has arrived there."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.owner.delivery.lanes import DeliveryLane, ResultLane
from celery_recommender.owner.delivery.replies import resolve_reply, task_of
from celery_recommender.owner.delivery.threads import Carry, DeliveryJob, DeliveryThread, ReplyJob
from celery_recommender.settings import Settings
from celery_recommender.threads import WorkerThread
from recommender_engine import Recommender
from recommender_engine.items import START, EntryId
from recommender_engine.store import OutboxRow, Reply

_IDLE_S, _SOON_S = 0.5, 0.05


class Dispatch:
    """Feeds a delivery thread for each lane: results, results that other tasks follow, deliveries to the user's task.

    What has not arrived is offered again after a restart.

    Args:
        engine: whose outbox it is.
        settings: which task of the user's own is called, and with which events.
        commands: the log, which knows the requests that are kept.
        carry: takes outcomes into Celery.

    Attributes:
        idle_s: for how long nothing need be offered: not long where the delivery threads had no room for all there was.
    """

    def __init__(self, engine: Recommender, settings: Settings, commands: CommandsLog, carry: Carry) -> None:
        self._engine = engine
        self._settings = settings
        self._commands = commands
        deliveries = DeliveryLane(
            lambda fields: commands.append([fields]), settings.deliver_task, settings.deliver_retry_s
        )
        self._results = DeliveryThread(carry, ResultLane("results", commands.forget_request))
        self._followed = DeliveryThread(carry, ResultLane("links", commands.forget_request))
        self._delivering = DeliveryThread(carry, deliveries)
        self._threads = (self._results, self._followed, self._delivering)
        self.idle_s = _IDLE_S
        self._offered_event = START
        self._undelivered = 0  # offered, and not arrived yet
        self._offered_reply = 0
        self._unclaimed: list[int] = []

    def start(self) -> None:
        """Begin where the last run ended. Where delivery begins at all is noted: a kill must not move it."""
        engine = self._engine
        if self._settings.deliver_task and engine.delivered is None:
            engine.acknowledge(delivered=engine.last_event)
        self._offered_event = engine.delivered or engine.last_event
        for thread in self.threads:
            thread.start()

    @property
    def threads(self) -> Sequence[WorkerThread]:
        """Those that run."""
        return self._threads if self._settings.deliver_task else self._threads[:2]

    def offer(self) -> None:
        """Give the delivery threads what they have room for."""
        engine = self._engine
        room = min(self._results.room, self._followed.room)
        waiting = engine.outbox.replies(self._offered_reply, room)
        self._offer_replies(waiting)
        space = self._delivering.room
        events = engine.outbox.after(self._offered_event, space) if self._settings.deliver_task else []
        self._delivering.put(self._deliveries(events))
        more = 0 < room == len(waiting) or 0 < space == len(events)
        self.idle_s = _SOON_S if more else _IDLE_S

    def acknowledge(self) -> None:
        """Note what has arrived."""
        engine = self._engine
        arrived = [job for thread in self._threads for job in thread.arrived()]
        replied = [job.id for job in arrived if isinstance(job, ReplyJob)] + self._unclaimed
        deliveries = [job.id for job in arrived if isinstance(job, DeliveryJob)]
        self._undelivered -= len(deliveries)
        delivered = max(deliveries, default=None)
        if self._settings.deliver_task and not self._undelivered and self._offered_event > (engine.delivered or START):
            delivered = self._offered_event  # events behind it are of types that are not delivered
        if replied or delivered:
            engine.acknowledge(replied=replied, delivered=delivered)
            self._unclaimed = []

    def finish(self, timeout_s: float) -> None:
        """Let the delivery threads finish, for at most ``timeout_s`` seconds, and note what arrived."""
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.finish(max(0.0, deadline_s - time.monotonic()))
        self.acknowledge()

    def stop(self) -> None:
        """Deliver no more, whatever is left."""
        for thread in self._threads:
            thread.stop(0.0)

    def facts(self) -> dict[str, Any]:
        """For the status, by lane: how many jobs wait, and why if none arrives."""
        return {"lanes": {thread.lane.name: thread.facts() for thread in self._threads}}

    def sent(self, published: EntryId) -> EntryId:
        """Up to where events have been published, and delivered where they are to be."""
        return min(published, self._engine.delivered or START) if self._settings.deliver_task else published

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

    def _deliveries(self, events: Sequence[OutboxRow]) -> list[DeliveryJob]:
        if events:
            self._offered_event = events[-1].id
        jobs = [
            DeliveryJob(row.id, json.loads(row.event)) for row in events if row.type in self._settings.deliver_types
        ]
        self._undelivered += len(jobs)
        return jobs
