"""What an owner makes sure of at the start and again and again: that partition and commands stream are in order."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from redis import Redis

from celery_recommender.broker.commands.continuity import group_and_last_id
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.trimming import TakenAway, Trimming
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.continuity.id_keeper import IdKeeper
from celery_recommender.owner.continuity.stream_keeper import StreamKeeper
from celery_recommender.owner.leadership.ownership import Ownership
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Status
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId

log = event_log(__name__)

_HURRY_EVERY_S = 60.0  # between backups out of turn: each is a copy of the whole state


class OwnershipChecks:
    """The partition as its owner holds it.

    Args:
        redis: the server.
        keys: of the partition.
        commands: the commands stream.
        lease: without which nothing is moved or dropped.
        trimming: of that stream.
        backups: which say what may be trimmed.
        clock: the server's.
        metrics: where to count.
        status: where to tell.
    """

    def __init__(
        self,
        redis: Redis,
        keys: PartitionKeys,
        commands: CommandsLog,
        lease: Lease,
        trimming: Trimming,
        backups: BackupKeeper,
        clock: ServerClock,
        metrics: Metrics,
        status: Status,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._trimming = trimming
        self._backups = backups
        self._metrics = metrics
        self._status = status
        self._taken = 0
        self._next_hurry_s = 0.0
        self._proofs = commands.proofs
        self._clock = clock
        self._ids = IdKeeper(redis, keys, lease, clock, metrics, status)
        self._stream_keeper = StreamKeeper(commands, lease, self._note_broken)
        self._read: Callable[[], EntryId] = lambda: START

    def identity(self, engine: Recommender) -> str:
        """What tells the state from any other."""
        return engine.notes.identify(secrets.token_hex(16))

    def claim(self, engine: Recommender) -> None:
        """See to it that the partition is ours.

        Raises:
            NotOurs: it is another state directory's.
        """
        Ownership(self._redis, self._keys, self.identity(engine)).claim()
        noted = engine.notes.secrets()
        if (known := self._proofs.keep(noted, self._before_proofs(engine, noted))) != noted:
            engine.notes.keep_secrets(known)

    def reads(self, read: Callable[[], EntryId]) -> None:
        """From now on ``read`` says which entry of the commands stream has been read last."""
        self._read = read

    def doubt(self) -> None:
        """The server was away: what it holds now has to be looked at."""
        self._stream_keeper.doubt()

    def begin(self, engine: Recommender) -> bool:
        """See to it, before anybody reads, that the commands stream is there, that its ids are believed, and that
        nothing in it is passed over; whether this very state has trimmed it before.

        Raises:
            OlderThanTrimmed: the state is an older copy.
        """
        lowered = self._ids.begin(engine, self.identity(engine))
        known = self._trimming.begin(self.identity(engine), engine.position)
        self._stream_keeper.check(engine, self._last_read(engine))
        if lowered:
            self._note_broken(engine)
        return known

    @property
    def believed(self) -> Callable[[EntryId], EntryId]:
        """Says of a position which ids behind it are believed."""
        return self._ids.belief.reading

    def believe(self, engine: Recommender) -> None:
        """Bring the commands stream back if it has come to ids that are not believed."""
        self._ids.check(engine, self._last_read(engine))

    def trim(self, engine: Recommender) -> None:
        """Drop commands whose effects are durable, if it is still the stream that was read."""
        read = self._last_read(engine)
        if not self._stream_keeper.settled(engine, read):
            return
        if not self._trimming.trim(self.identity(engine), engine.position, read, self._backups.keep_from):
            self._stream_keeper.check(engine, read)
        if (taken := self._trimming.taken_away()).commands:
            self._tell_taken(engine, taken)

    def _before_proofs(self, engine: Recommender, noted: list[str]) -> EntryId:
        """Up to where commands stand that were appended for a state of a release that knew no proofs."""
        if noted or engine.position == START:
            return START
        return group_and_last_id(self._redis, self._keys.commands)[1] or START

    def _last_read(self, engine: Recommender) -> EntryId:
        return max(self._read(), engine.position)

    def _tell_taken(self, engine: Recommender, taken: TakenAway) -> None:
        self._taken += taken.commands
        log.error(
            "owner.commands_taken_away",
            extra={
                "commands": taken.commands,
                "decided": taken.decided,
                "error": "somebody else has dropped entries of the commands stream, by XADD with MAXLEN or MINID or by"
                " trimming; those that were not decided are lost: find the program, and send them again",
            },
        )
        self._metrics.taken_away(taken.commands)
        self._status.update(commands_taken_away={"commands": self._taken, "at_ms": self._clock.now_ms()})
        if taken.decided and self._backups.keep_from is not None:
            self._trimming.broken(self.identity(engine), engine.position)
            if time.monotonic() >= self._next_hurry_s:
                self._next_hurry_s = time.monotonic() + _HURRY_EVERY_S
                self._backups.hurry()

    def _note_broken(self, engine: Recommender) -> None:
        """Commands that a backup would need are gone: let it be refused, and make another soon."""
        self._backups.hurry()
        self._trimming.broken(self.identity(engine), engine.position)
