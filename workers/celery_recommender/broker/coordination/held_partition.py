"""What it takes to write to the keys of a partition as its owner."""

from __future__ import annotations

from typing import NamedTuple

from redis import Redis

from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.server_clock import ServerClock


class HeldPartition(NamedTuple):
    """A partition whose lease this process has acquired.

    Attributes:
        redis: the server.
        keys: of the partition.
        lease: on it, without which nothing is written.
        clock: the server's.
        state: identity of the state directory.
    """

    redis: Redis
    keys: PartitionKeys
    lease: Lease
    clock: ServerClock
    state: str
