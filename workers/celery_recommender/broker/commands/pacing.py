"""Throttles bulk producers: few of their commands wait at a time, so live commands are decided soon."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from redis import Redis

from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.broker.redis.keys import PartitionKeys

Command = Mapping[str, str | int]
T = TypeVar("T")

BLOCK = 32
"""Commands that a bulk producer appends in one round trip."""

_POLL_S = 0.05
_LEAST = 2 * BLOCK  # one that is decided, and one to follow


class Pacing:
    """Waits for room; all bulk producers of a partition share it.

    Args:
        redis: the server.
        keys: of the partition.
        batch_items: commands that the owner takes at once at most …
        batch_bytes: … and about how many bytes.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, batch_items: int, batch_bytes: int) -> None:
        self._redis = redis
        self._keys = keys
        self._batch_items = batch_items
        self._batch_bytes = batch_bytes

    def wait_for_room(self, commands: Sequence[Command]) -> None:
        """Wait while an owner is at work and would have more before it, with these, than two batches or a second's
        work, and what it gives to a fleet; without an owner commands may pile up.
        """
        while commands and (status := read_status(self._redis, self._keys)) is not None:
            batch = self._batch(commands)
            room = min(2 * batch, self._per_second(status.get("commands_per_s") or 0.0))
            room += batch * status.get("fleet", {}).get("window", 0)
            if commands_waiting(self._redis, self._keys, status) <= max(0, room - len(commands)):
                return
            time.sleep(_POLL_S)

    def _batch(self, commands: Sequence[Command]) -> int:
        """How many commands make a batch, by the size of these."""
        mean_bytes = sum(map(size_of_command, commands)) / len(commands)
        return min(self._batch_items, int(self._batch_bytes / max(mean_bytes, 1)))

    def _per_second(self, commands_per_s: float) -> int:
        """Commands that the owner decides in a second; no limit while its rate is unknown."""
        return max(_LEAST, int(commands_per_s)) if commands_per_s else sys.maxsize

    def blocks(self, values: Iterable[T], command: Callable[[T], Command | None]) -> Iterator[list[T]]:
        """Cut into blocks for one round trip each, none larger than a batch.

        Args:
            values: taken one by one.
            command: the command of a value; ``None`` takes a place in the block and no bytes.
        """
        block: list[T] = []
        size = 0
        for value in values:
            fields = command(value)
            added = 0 if fields is None else size_of_command(fields)
            if block and size + added > self._batch_bytes:
                yield block
                block, size = [], 0
            block.append(value)
            size += added
            if len(block) >= min(BLOCK, self._batch_items):
                yield block
                block, size = [], 0
        if block:
            yield block


def size_of_command(command: Command) -> int:
    """About how many bytes it takes in the stream."""
    return sum(len(name) + len(str(value)) for name, value in command.items())
