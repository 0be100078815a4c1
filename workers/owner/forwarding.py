"""Passes commands on to the partitions that decide them, with the requests of Celery tasks that wait for the outcome.

What is to be passed on is committed with the position. It is sent once more if it is not known to have arrived: there
it has a key, so it is decided once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline

from recommender import Recommender
from recommender.event_log import event_log
from recommender.store import Forward
from workers.broker.availability import AWAY
from workers.broker.keys import PartitionKeys
from workers.broker.lease import Lease
from workers.broker.proofs import NotPermitted, Proofs

log = event_log(__name__)

_AT_ONCE = 200


class Forwarding:
    """Moves commands from the state to the streams of other partitions.

    Args:
        partition: the one that passes them on.
        redis: the server.
        lease: without which nothing is sent.
        key_prefix: of every key.
    """

    def __init__(self, partition: str, redis: Redis, lease: Lease, key_prefix: str = "") -> None:
        self._partition = partition
        self._keys = PartitionKeys.of(partition, key_prefix)
        self._key_prefix = key_prefix
        self._redis = redis
        self._lease = lease

    def send(self, engine: Recommender) -> None:
        """Pass on what is to be passed on now; a server that is away gets it later.

        Raises:
            LeaseLost: another process owns the partition.
        """
        while forwards := engine.moves.forwards(_AT_ONCE):
            try:
                self._send(forwards)
            except AWAY as error:
                log.warning("forwarding.server_away", extra={"error": str(error)})
                return
            engine.moves.sent(forwards)

    def _send(self, forwards: Sequence[Forward]) -> None:
        waiting = [_task_of(one) for one in forwards]
        entries = [self._signed(one) for one in forwards]
        requests = dict(zip(waiting, self._redis.hmget(self._keys.replies, waiting), strict=True))

        def fill(pipe: Pipeline) -> None:
            for one, entry, task_id in zip(forwards, entries, waiting, strict=True):
                target, request = PartitionKeys.of(one.target, self._key_prefix), requests[task_id]
                if request is not None and one.target != self._partition:
                    pipe.hset(target.replies, task_id, request)
                    pipe.hdel(self._keys.replies, task_id)
                pipe.xadd(target.commands, entry)  # type: ignore[arg-type]

        self._lease.execute(fill)

    def _signed(self, one: Forward) -> dict[str, Any]:
        """With a proof for the other partition's stream, if its command needs one: it had one for this.

        Where this owner may not make it, the other one rejects the command and says so.
        """
        fields = self._fields(one)
        try:
            return Proofs(self._redis, PartitionKeys.of(one.target, self._key_prefix)).signed(fields)
        except NotPermitted as error:
            log.error("forwarding.unproven", extra={"target": one.target, "error": str(error)})
            return dict(fields)

    def _fields(self, one: Forward) -> dict[str, str]:
        said = {name: one.command[name] for name in ("type", "data", "key", "reply_to")}
        said["via"] = ",".join((*one.command["via"], self._partition))
        return {name: value for name, value in said.items() if value is not None}


def _task_of(one: Forward) -> str:
    return (one.command["reply_to"] or "").partition(" ")[2]
