"""Between the outbox and the courier: what has to go into Celery, and what has arrived there."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recommender import Recommender
from recommender.items import START, EntryId
from recommender.store import OutboxRow, Reply
from workers.broker.commands_log import CommandsLog
from workers.owner.courier import Carry, Courier, DeliveryJob, ReplyJob
from workers.owner.replies import resolve_reply, task_of
from workers.settings import Settings

_IDLE_S, _SOON_S = 0.5, 0.05


class Dispatch:
    """Feeds a courier. What it has offered and not seen arrive is offered again after a restart.

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
        self._courier = Courier(carry)
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
        self._courier.start()

    def offer(self, engine: Recommender) -> None:
        """Give the courier what it has room for."""
        room = self._courier.room
        waiting = engine.outbox.replies(self._offered_reply, room)
        events = engine.outbox.after(self._offered_event, room) if self._settings.deliver_task else []
        self._courier.put([*self._replies(engine, waiting), *self._deliveries(events)])
        self.idle_s = _SOON_S if 0 < room in (len(waiting), len(events)) else _IDLE_S

    def acknowledge(self, engine: Recommender) -> None:
        """Note what has arrived."""
        arrived = self._courier.arrived()
        replied = [job.id for job in arrived if isinstance(job, ReplyJob)] + self._unclaimed
        deliveries = [job.id for job in arrived if isinstance(job, DeliveryJob)]
        self._undelivered -= len(deliveries)
        delivered = max(deliveries, default=None)
        if self._settings.deliver_task and not self._undelivered and self._offered_event > (engine.delivered or START):
            delivered = self._offered_event  # the rest is of types that nobody is called with
        if replied or delivered:
            engine.acknowledge(replied=replied, delivered=delivered)
            self._unclaimed = []

    def finish(self, engine: Recommender, timeout_s: float) -> None:
        """Let the courier carry what it has, for at most ``timeout_s`` seconds, and note what arrived."""
        if self._courier.is_alive():
            self._courier.finish(timeout_s)
        self.acknowledge(engine)

    def stop(self) -> None:
        """Carry no more, whatever is left."""
        if self._courier.is_alive():
            self._courier.finish(0.0)

    def sent(self, engine: Recommender, published: EntryId) -> EntryId:
        """Up to where events have reached everybody they are for."""
        return min(published, engine.delivered or START) if self._settings.deliver_task else published

    def _replies(self, engine: Recommender, waiting: Sequence[Reply]) -> list[ReplyJob]:
        """Outcomes for tasks that wait. An address that nobody registered is none of ours, whoever wrote it."""
        if not waiting:
            return []
        known = self._commands.known_requests([task_of(reply) for reply in waiting])
        self._offered_reply = waiting[-1].id
        self._unclaimed += [reply.id for reply in waiting if task_of(reply) not in known]
        return [resolve_reply(reply, engine) for reply in waiting if task_of(reply) in known]

    def _deliveries(self, events: Sequence[OutboxRow]) -> list[DeliveryJob]:
        if events:
            self._offered_event = events[-1].id
        jobs = [
            DeliveryJob(row.id, json.loads(row.event)) for row in events if row.type in self._settings.deliver_types
        ]
        self._undelivered += len(jobs)
        return jobs
