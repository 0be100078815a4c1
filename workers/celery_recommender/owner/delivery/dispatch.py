"""Between the outbox and the couriers: what has to go into Celery, and what has arrived there."""

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
from recommender_engine import Recommender
from recommender_engine.items import START, EntryId
from recommender_engine.store import OutboxRow, Reply

_IDLE_S, _SOON_S = 0.5, 0.05


class Dispatch:
    """Feeds a courier for each lane: results, results that other tasks follow, deliveries to the user's task.

    What it has offered and not seen arrive is offered again after a restart.

    Args:
        settings: which task of the user's own is called, and with which events.
        commands: the log, which knows whose requests are kept.
        carry: takes outcomes into Celery.

    Attributes:
        idle_s: for how long nothing need be offered: not long where the courier had no room for all there was.
    """

    def __init__(self, settings: Settings, commands: CommandsLog, carry: Carry) -> None:
        self._settings = settings
        self._commands = commands
        deliveries = DeliveryLane(
            lambda fields: commands.append([fields]), settings.deliver_task, settings.deliver_retry_s
        )
        self._results = DeliveryThread(carry, ResultLane("results", commands.forget_request))
        self._followed = DeliveryThread(carry, ResultLane("links", commands.forget_request))
        self._delivering = DeliveryThread(carry, deliveries)
        self._delivery_threads = (self._results, self._followed, self._delivering)
        self.idle_s = _IDLE_S
        self._offered_event = START
        self._undelivered = 0  # offered, and not seen to arrive
        self._offered_reply = 0
        self._unclaimed: list[int] = []

    def start(self, engine: Recommender) -> None:
        """Begin where the last run ended. Where delivery begins at all is noted: a kill must not move it."""
        if self._settings.deliver_task and engine.delivered is None:
            engine.acknowledge(delivered=engine.last_event)
        self._offered_event = engine.delivered or engine.last_event
        for delivery_thread in self._delivery_threads if self._settings.deliver_task else self._delivery_threads[:2]:
            delivery_thread.start()

    def offer(self, engine: Recommender) -> None:
        """Give the couriers what they have room for."""
        room = min(self._results.room, self._followed.room)
        waiting = engine.outbox.replies(self._offered_reply, room)
        self._offer_replies(engine, waiting)
        space = self._delivering.room
        events = engine.outbox.after(self._offered_event, space) if self._settings.deliver_task else []
        self._delivering.put(self._deliveries(events))
        more = 0 < room == len(waiting) or 0 < space == len(events)
        self.idle_s = _SOON_S if more else _IDLE_S

    def acknowledge(self, engine: Recommender) -> None:
        """Note what has arrived."""
        arrived = [job for delivery_thread in self._delivery_threads for job in delivery_thread.arrived()]
        replied = [job.id for job in arrived if isinstance(job, ReplyJob)] + self._unclaimed
        deliveries = [job.id for job in arrived if isinstance(job, DeliveryJob)]
        self._undelivered -= len(deliveries)
        delivered = max(deliveries, default=None)
        if self._settings.deliver_task and not self._undelivered and self._offered_event > (engine.delivered or START):
            delivered = self._offered_event  # events behind it are of types that are not delivered
        if replied or delivered:
            engine.acknowledge(replied=replied, delivered=delivered)
            self._unclaimed = []

    def finish(self, engine: Recommender, timeout_s: float) -> None:
        """Let the couriers carry what they have, for at most ``timeout_s`` seconds, and note what arrived."""
        deadline_s = time.monotonic() + timeout_s
        for delivery_thread in self._delivery_threads:
            if delivery_thread.is_alive():
                delivery_thread.finish(max(0.0, deadline_s - time.monotonic()))
        self.acknowledge(engine)

    def stop(self) -> None:
        """Carry no more, whatever is left."""
        for delivery_thread in self._delivery_threads:
            if delivery_thread.is_alive():
                delivery_thread.finish(0.0)

    def told(self) -> dict[str, dict[str, Any]]:
        """By lane: what waits, and why if it is tried in vain."""
        return {delivery_thread.lane.name: delivery_thread.told() for delivery_thread in self._delivery_threads}

    def sent(self, engine: Recommender, published: EntryId) -> EntryId:
        """Up to where events have reached everybody they are for."""
        return min(published, engine.delivered or START) if self._settings.deliver_task else published

    def _offer_replies(self, engine: Recommender, waiting: Sequence[Reply]) -> None:
        """Outcomes for tasks that wait. An address that nobody registered is none of ours, whoever wrote it."""
        if not waiting:
            return
        known = self._commands.known_requests([task_of(reply) for reply in waiting])
        self._offered_reply = waiting[-1].id
        self._unclaimed += [reply.id for reply in waiting if task_of(reply) not in known]
        for delivery_thread, followed in ((self._results, False), (self._followed, True)):
            delivery_thread.put(
                [resolve_reply(reply, engine) for reply in waiting if known.get(task_of(reply)) is followed]
            )

    def _deliveries(self, events: Sequence[OutboxRow]) -> list[DeliveryJob]:
        if events:
            self._offered_event = events[-1].id
        jobs = [
            DeliveryJob(row.id, json.loads(row.event)) for row in events if row.type in self._settings.deliver_types
        ]
        self._undelivered += len(jobs)
        return jobs
