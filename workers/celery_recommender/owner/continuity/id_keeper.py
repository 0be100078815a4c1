"""Sees to it that no id becomes a position that cannot be believed, and that producers can append."""

from __future__ import annotations

from typing import Any

from redis import Redis

from celery_recommender.broker.commands.id_repair import IdRepair, RepairedIds, last_given, lowered, lowering
from celery_recommender.broker.commands.trimming import OlderThanTrimmed
from celery_recommender.broker.commands.trusted_ids import TrustedIds, is_lost, last_believed
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Status
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId

log = event_log(__name__)


class IdKeeper:
    """Looks after the ids of the commands stream; called by the engine thread.

    Args:
        redis: the server.
        keys: of the partition.
        lease: without which nothing is written.
        clock: the server's.
        metrics: where to count.
        status: where to tell.
    """

    def __init__(
        self, redis: Redis, keys: PartitionKeys, lease: Lease, clock: ServerClock, metrics: Metrics, status: Status
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._status = status
        self._commands = 0
        self.belief = TrustedIds(clock.now_ms)

    def begin(self, engine: Recommender, state: str) -> bool:
        """Look at position and stream at the start, before anybody reads.

        A position that earlier releases took from an entry, and that nothing can go on behind, is lowered: what is up
        to it stays decided, what is behind it gets ids that are believed.

        Args:
            engine: whose position it is; it is lowered in Redis first, then here.
            state: identity of the state.

        Returns:
            Whether the position was lowered. No backup from before can catch up with the stream any more.

        Raises:
            OlderThanTrimmed: it was lowered before, and this is an older copy of the state.
        """
        noted = lowered(self._redis, self._keys, state)
        if noted is not None and noted[0] == engine.position:  # the process before came no further
            self._lower(engine, noted[1])
            return True
        now_ms = self._clock.now_ms()
        if is_lost(engine.position, now_ms):
            if noted is not None:
                raise OlderThanTrimmed(
                    f"this state is at position {engine.position}, which no clock has reached, and the partition has"
                    f" gone on from {noted[1]} without it: it is an older copy. Put the newest backup in its place with"
                    " `recommender restore`"
                )
            self._bring_back_and_lower(engine, state, now_ms)
            return True
        self.check(engine, engine.position)
        return False

    def check(self, engine: Recommender, read: EntryId) -> None:
        """Bring the stream back if it has come to ids that are not believed.

        Args:
            engine: knows what has been decided.
            read: position of the last entry that has been read; at or behind that of the engine.

        Raises:
            LeaseLost: another process owns the partition; nothing was changed.
        """
        last = last_given(self._redis, self._keys.commands)
        if last is None or last <= self.belief.reading(read):
            return
        self._clock.adjust()
        with self.belief.held(read) as believed:
            if last <= believed:
                return
            done = self._bring_back(believed, engine.position, read, {})
        self._tell(done, last)

    def _bring_back_and_lower(self, engine: Recommender, state: str, now_ms: int) -> None:
        before, believed = engine.position, last_believed(now_ms, START)
        found: Any = self._redis.xrevrange(self._keys.commands, max=str(believed), count=1)
        newest = EntryId.parse(found[0][0].decode()) if found else START
        to = max(newest, EntryId(now_ms, 0))
        done = self._bring_back(believed, before, to, lowering(state, before, to))
        self._lower(engine, to)
        self._tell(done, before)

    def _bring_back(self, believed: EntryId, position: EntryId, behind: EntryId, note: dict[str, str]) -> RepairedIds:
        return IdRepair(
            self._redis,
            self._keys,
            self._lease,
            last=believed,
            position=position,
            behind=behind,
            now_ms=self._clock.now_ms(),
        ).carry_out(note)

    def _lower(self, engine: Recommender, to: EntryId) -> None:
        log.error("owner.position_lowered", extra={"position": str(engine.position), "to": str(to)})
        engine.continue_after(position=to)

    def _tell(self, done: RepairedIds, last: EntryId) -> None:
        self._commands += done.moved
        log.error(
            "owner.ids_brought_back",
            extra={
                "commands": done.moved,
                "dropped": done.dropped,
                "first": str(done.first),
                "last": str(last),
                "error": "an id lay further ahead of the clock than clocks differ: somebody appends with ids of their"
                " own, or the server's clock was set back",
            },
        )
        self._metrics.brought_back(done.moved)
        told = {"commands": self._commands, "last_id": str(last), "at_ms": self._clock.now_ms()}
        self._status.update(ids_brought_back=told)
