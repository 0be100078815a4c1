"""Keeps ids of the commands stream valid: none becomes a position far beyond the clock, and producers can append."""

from __future__ import annotations

from typing import Any

from celery_recommender.broker.commands.id_repair import (
    IdRepair,
    Renumbering,
    RepairedIds,
    last_given,
    lowered,
    lowering,
)
from celery_recommender.broker.commands.trimming import OlderThanTrimmed
from celery_recommender.broker.commands.trusted_ids import TrustedIds, is_lost, last_trusted
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.owner.telemetry.metrics import Metrics
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId

log = event_log(__name__)


class IdKeeper:
    """Looks after the ids of the commands stream; called by the engine thread.

    Args:
        engine: knows what has been decided; its position may be lowered.
        partition: that is owned.
        metrics: counts commands that got other ids.

    Attributes:
        trusted: which ids are trusted.
    """

    def __init__(self, engine: Recommender, partition: HeldPartition, metrics: Metrics) -> None:
        self._engine = engine
        self._partition = partition
        self._redis, self._keys = partition.redis, partition.keys
        self._clock = partition.clock
        self._metrics = metrics
        self._repaired: dict[str, Any] = {}
        self.trusted = TrustedIds(partition.clock.now_ms)

    def begin(self) -> bool:
        """Check position and stream at the start, before anything is read.

        A position that earlier releases took from an entry, and that no new id can follow, is lowered, in Redis first:
        what is up to it stays decided, what is behind it gets ids that are trusted.

        Returns:
            Whether the position was lowered. No backup from before can catch up with the stream any more.

        Raises:
            OlderThanTrimmed: it was lowered before, and this is an older copy of the state.
        """
        position = self._engine.position
        noted = lowered(self._redis, self._keys, self._partition.state)
        if noted is not None and noted[0] == position:  # the process before came no further
            self._lower(noted[1])
            return True
        now_ms = self._clock.now_ms()
        if is_lost(position, now_ms):
            if noted is not None:
                raise OlderThanTrimmed(
                    f"this state is at position {position}, which no clock has reached, and the partition has"
                    f" gone on from {noted[1]} without it: it is an older copy. Put the newest backup in its place with"
                    " `recommender restore`"
                )
            self._repair_and_lower(now_ms)
            return True
        self.check(position)
        return False

    def check(self, read: EntryId) -> None:
        """Give entries other ids if the stream has come to ids that are not trusted.

        Args:
            read: position of the last entry that has been read; at or behind that of the engine.

        Raises:
            LeaseLost: another process owns the partition; nothing was changed.
        """
        last = last_given(self._redis, self._keys.commands)
        if last is None or last <= self.trusted.reading(read):
            return
        self._clock.adjust()
        with self.trusted.held(read) as trusted:
            if last <= trusted:
                return
            done = self._repair(trusted, self._engine.position, read, {})
        self._report(done, last)

    def facts(self) -> dict[str, Any]:
        """For the status."""
        return {"ids_brought_back": self._repaired} if self._repaired else {}

    def _repair_and_lower(self, now_ms: int) -> None:
        before, trusted = self._engine.position, last_trusted(now_ms, START)
        found: Any = self._redis.xrevrange(self._keys.commands, max=str(trusted), count=1)
        newest = EntryId.parse(found[0][0].decode()) if found else START
        to = max(newest, EntryId(now_ms, 0))
        done = self._repair(trusted, before, to, lowering(self._partition.state, before, to))
        self._lower(to)
        self._report(done, before)

    def _repair(self, trusted: EntryId, position: EntryId, behind: EntryId, note: dict[str, str]) -> RepairedIds:
        ids = Renumbering(last=trusted, position=position, behind=behind, now_ms=self._clock.now_ms())
        return IdRepair(self._redis, self._keys, self._partition.lease, ids).carry_out(note)

    def _lower(self, to: EntryId) -> None:
        log.error("owner.position_lowered", extra={"position": str(self._engine.position), "to": str(to)})
        self._engine.continue_after(position=to)

    def _report(self, done: RepairedIds, last: EntryId) -> None:
        log.error(
            "owner.ids_brought_back",
            extra={
                "commands": done.moved,
                "dropped": done.dropped,
                "first": str(done.first),
                "last": str(last),
                "error": "an id lay further ahead of the clock than clocks differ: a program appends with ids of its"
                " own, or the server's clock was set back",
            },
        )
        self._metrics.brought_back(done.moved)
        commands = self._repaired.get("commands", 0) + done.moved
        self._repaired = {"commands": commands, "last_id": str(last), "at_ms": self._clock.now_ms()}
