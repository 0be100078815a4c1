"""Keeps the commands stream in order: no command is skipped, its ids are valid, what is durable is trimmed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.trimming import TakenAway, Trimming
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.continuity.id_keeper import IdKeeper
from celery_recommender.owner.continuity.stream_keeper import StreamKeeper
from celery_recommender.owner.telemetry.metrics import Metrics
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import EntryId

log = event_log(__name__)

_HURRY_EVERY_S = 60.0  # between backups out of turn: each is a copy of the whole state


class CommandsKeeper:
    """Checks the commands stream at the start and about once a second; called by the engine thread.

    Args:
        engine: knows what has been decided.
        partition: that is owned.
        commands: its commands stream.
        read: position of the last entry that has been read.
        backups: they say what may be trimmed.
        metrics: counts what others have removed.
    """

    def __init__(
        self,
        engine: Recommender,
        partition: HeldPartition,
        commands: CommandsLog,
        read: Callable[[], EntryId],
        backups: BackupKeeper,
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._partition = partition
        self._commands = commands
        self._read = read
        self._backups = backups
        self._metrics = metrics
        self._trimming = Trimming(partition.redis, partition.keys, partition.lease)
        self._ids = IdKeeper(engine, partition, metrics)
        self._stream_keeper = StreamKeeper(engine, commands, partition.lease, self._note_broken)
        self._taken_away: dict[str, int] = {}
        self._next_hurry_s = 0.0

    def begin(self) -> bool:
        """Before anything is read, make sure that the stream exists, its ids are valid, and no entry is skipped.

        Returns:
            Whether this very state has trimmed the stream before.

        Raises:
            OlderThanTrimmed: the state is an older copy.
        """
        lowered = self._ids.begin()
        known = self._trimming.begin(self._partition.state, self._engine.position)
        self._stream_keeper.check(self._last_read())
        if lowered:
            self._note_broken()
        return known

    @property
    def last_trusted(self) -> Callable[[EntryId], EntryId]:
        """Given a position, the highest id behind it that is trusted."""
        return self._ids.trusted.reading

    @property
    def held(self) -> int:
        """Decided commands that are kept in the stream until they are in a backup."""
        return self._trimming.held

    def committed(self, commands: int) -> None:
        """So many more commands have been decided."""
        self._trimming.committed(commands)

    def doubt(self) -> None:
        """The server was away: what it holds now has to be checked."""
        self._stream_keeper.doubt()

    def tend(self) -> None:
        """Repair ids that are not trusted, trim, drop requests that belong to no command."""
        self._ids.check(self._last_read())
        self.trim()
        if dropped := self._commands.drop_requests():
            log.error("owner.requests_dropped", extra={"count": dropped})

    def trim(self) -> None:
        """Drop commands whose effects are durable, if it is still the stream that was read."""
        read = self._last_read()
        if not self._stream_keeper.settled(read):
            return
        state, position = self._partition.state, self._engine.position
        if not self._trimming.trim(state, position, read, self._backups.keep_from):
            self._stream_keeper.check(read)
        if (taken := self._trimming.taken_away()).commands:
            self._note_taken(taken)

    def facts(self) -> dict[str, Any]:
        """For the status."""
        taken = {"commands_taken_away": self._taken_away} if self._taken_away else {}
        return {"held": self.held, **taken, **self._ids.facts()}

    def _last_read(self) -> EntryId:
        return max(self._read(), self._engine.position)

    def _note_taken(self, taken: TakenAway) -> None:
        log.error(
            "owner.commands_taken_away",
            extra={
                "commands": taken.commands,
                "decided": taken.decided,
                "error": "another program has dropped entries of the commands stream, by XADD with MAXLEN or MINID or"
                " by trimming; those that were not decided are lost: find the program, and send them again",
            },
        )
        self._metrics.taken_away(taken.commands)
        commands = self._taken_away.get("commands", 0) + taken.commands
        self._taken_away = {"commands": commands, "at_ms": self._partition.clock.now_ms()}
        if taken.decided and self._backups.keep_from is not None:
            self._trimming.broken(self._partition.state, self._engine.position)
            if time.monotonic() >= self._next_hurry_s:
                self._next_hurry_s = time.monotonic() + _HURRY_EVERY_S
                self._backups.hurry()

    def _note_broken(self) -> None:
        """Commands that a backup would need are gone: older backups are refused, and another is made soon."""
        self._backups.hurry()
        self._trimming.broken(self._partition.state, self._engine.position)
