"""What an owner does once a second, beside deciding."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from redis.exceptions import OutOfMemoryError

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.settings import Settings, naming
from recommender_engine import Recommender
from recommender_engine.errors import StateError, StateFull
from recommender_engine.event_log import event_log
from recommender_engine.items import EntryId

log = event_log(__name__)

_EVERY_S = 1.0
_SNAPSHOT_EVERY_S = 600.0
_TIDYING_S = 0.2  # of each second

_SERVER: tuple[type[Exception], ...] = (Overloaded, *AWAY)

Chore = Callable[[], object]


class Upkeep:
    """Does the chores about once a second, in their order; called by the engine thread.

    Args:
        chores: what is done. After an error of the server the rest are left for the next second.
        doubt: called when the server was away.
    """

    def __init__(self, chores: Sequence[Chore], doubt: Callable[[], None]) -> None:
        self._chores = chores
        self._doubt = doubt
        self._next_s = 0.0

    def tend(self) -> None:
        """Do the chores if it is time; those for which the disk has no room, or the server is away, are done later."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        for chore in self._chores:
            try:
                chore()
            except StateFull as error:
                log.error("owner.disk_full", extra={"error": naming(error)})
            except _SERVER as error:
                if not isinstance(error, OutOfMemoryError | Overloaded):  # a full server has lost nothing
                    self._doubt()
                log.warning("owner.upkeep_failed", extra={"error": str(error)})
                return


class StateChores:
    """Removes what is old from the state, and writes snapshots of its indexes.

    Args:
        engine: whose state it is.
        settings: for how long published events are kept in the store, and how many bytes of them.
        sent: the last event that has been published, and delivered where it is to be.
    """

    def __init__(self, engine: Recommender, settings: Settings, sent: Callable[[], EntryId]) -> None:
        self._engine = engine
        self._kept_ms = settings.outbox_hours * 3600 * 1000
        self._kept_bytes = settings.outbox_max_bytes
        self._sent = sent
        self._next_snapshot_s = 0.0

    def tidy(self) -> None:
        """Remove some of what is old."""
        sent, until_s = self._sent(), time.monotonic() + _TIDYING_S
        while self._engine.tidying.some(self._kept_ms, sent, self._kept_bytes) and time.monotonic() < until_s:
            pass

    def snapshot(self) -> None:
        """Write snapshots that are due."""
        now_s = time.monotonic()
        due = now_s >= self._next_snapshot_s
        try:
            self._engine.snapshot(all_changes=due)
        except StateError as error:
            log.error("owner.snapshot_failed", extra={"error": naming(error)})
        if due:
            self._next_snapshot_s = now_s + _SNAPSHOT_EVERY_S
            self._engine.truncate_log()


def tick(engine: Recommender, commands: CommandsLog, now_ms: int) -> None:
    """Append a command if something has fallen due on a quiet stream: time passes through commands only."""
    due_ms = engine.due_ms()
    if due_ms is not None and due_ms <= now_ms:
        commands.append([command_fields("clock.ticked", {})])
