"""What an owner does once a second, beside deciding."""

from __future__ import annotations

import time

from redis.exceptions import OutOfMemoryError

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.client import command_fields
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.continuity.event_keeper import EventKeeper
from celery_recommender.owner.continuity.recovery import Recovery
from celery_recommender.owner.delivery.dispatch import Dispatch
from celery_recommender.owner.delivery.publisher import Publisher
from celery_recommender.owner.leadership.checks import OwnershipChecks
from celery_recommender.owner.loop.inbox import Inbox
from celery_recommender.owner.loop.reporting import Reporting
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Status
from celery_recommender.settings import naming
from recommender_engine import Recommender
from recommender_engine.errors import StateError, StateFull
from recommender_engine.event_log import event_log

log = event_log(__name__)

_EVERY_S = 1.0
_SNAPSHOT_EVERY_S = 600.0
_TIDYING_S = 0.2  # of each second


class Upkeep:
    """Notes what arrived, trims, writes snapshots and backups, ticks the clock, says how it goes.

    Args:
        outbox_hours: for how long published events are kept in the store …
        outbox_bytes: … and how many bytes of them.
        holding: the partition.
        clock: the server's.
        commands: its commands stream.
        inbox: what has been read ahead of it.
        publisher: of events.
        dispatch: of outcomes into Celery.
        backups: of the state.
        recovery: of a state that is behind its events.
        event_keeper: of the events stream.
        reporting: to metrics and status.
        metrics: where to count.
        status: where to tell.
    """

    def __init__(
        self,
        outbox_hours: int,
        outbox_bytes: int,
        holding: OwnershipChecks,
        clock: ServerClock,
        commands: CommandsLog,
        inbox: Inbox,
        publisher: Publisher,
        dispatch: Dispatch,
        backups: BackupKeeper,
        recovery: Recovery,
        event_keeper: EventKeeper,
        reporting: Reporting,
        metrics: Metrics,
        status: Status,
    ) -> None:
        self._outbox_ms = outbox_hours * 3600 * 1000
        self._outbox_bytes = outbox_bytes
        self._holding = holding
        self._clock = clock
        self._commands = commands
        self._inbox = inbox
        self._publisher = publisher
        self._dispatch = dispatch
        self._backups = backups
        self._recovery = recovery
        self._event_keeper = event_keeper
        self._reporting = reporting
        self._metrics = metrics
        self._status = status
        self._next_s = 0.0
        self._next_snapshot_s = 0.0

    def tend(self, engine: Recommender) -> None:
        """Do it if it is time; what the disk has no room for, or the server no time, is done later."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        try:
            self._dispatch.acknowledge(engine)
            self._backups.tend(engine)
            self._tend_server(engine)
            self._tend_state(engine, now_s)
        except StateFull as error:
            log.error("owner.disk_full", extra={"error": naming(error)})

    def _tend_server(self, engine: Recommender) -> None:
        try:
            self._holding.claim(engine)
            self._publisher.check(engine)
            # Before anything is written: it makes room on a server that is full.
            self._status.update(events=self._event_keeper.tend(engine, self._clock.now_ms()))
            self._holding.believe(engine)
            self._holding.trim(engine)
            if dropped := self._commands.drop_requests():
                log.error("owner.requests_dropped", extra={"count": dropped})
            self._clock.adjust()
            self._tick(engine)
            self._status.update(lanes=self._dispatch.told())
            self._reporting.report(engine)
        except (OutOfMemoryError, Overloaded) as error:  # a full server has lost nothing
            log.warning("owner.upkeep_failed", extra={"error": str(error)})
        except AWAY as error:
            self._holding.doubt()
            log.warning("owner.upkeep_failed", extra={"error": str(error)})

    def _tend_state(self, engine: Recommender, now_s: float) -> None:
        sent = self._dispatch.sent(engine, self._publisher.published)
        until_s = time.monotonic() + _TIDYING_S
        while engine.tidying.some(self._outbox_ms, sent, self._outbox_bytes) and time.monotonic() < until_s:
            pass
        due = now_s >= self._next_snapshot_s
        try:
            engine.snapshot(all_changes=due)
        except StateError as error:
            log.error("owner.snapshot_failed", extra={"error": naming(error)})
        if due:
            self._next_snapshot_s = now_s + _SNAPSHOT_EVERY_S
            engine.cut_log()

    def _tick(self, engine: Recommender) -> None:
        """Time passes through commands only: when something falls due on a quiet stream, say so on the stream."""
        due_ms = engine.due_ms()
        quiet = len(self._inbox) == 0 and not self._recovery.running
        if due_ms is not None and due_ms <= self._clock.now_ms() and quiet:
            self._commands.append([command_fields("clock.ticked", {})])
