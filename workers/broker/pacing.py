"""The pace of bulk producers: they keep at most two batches waiting, so that live commands wait behind no more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from redis import Redis

from workers.broker.commands_log import CommandsLog
from workers.broker.keys import PartitionKeys
from workers.broker.status import read_status

Command = Mapping[str, str | int]

_BATCHES = 2
_POLL_S = 0.05


class Pacing:
    """Waits for room; all bulk producers of a partition share it.

    Args:
        log: the commands.
        redis: the server.
        keys: of the partition.
        batch_items: commands that the owner takes at once at most …
        batch_bytes: … and about how many bytes.
    """

    def __init__(self, log: CommandsLog, redis: Redis, keys: PartitionKeys, batch_items: int, batch_bytes: int) -> None:
        self._log = log
        self._redis = redis
        self._keys = keys
        self._batch_items = batch_items
        self.batch_bytes = batch_bytes

    def wait_for_room(self, commands: Sequence[Command]) -> None:
        """Wait while an owner is at work and would have more than two batches before it, with these; without an owner
        commands may pile up.

        How many commands make two batches is told from the size of these.
        """
        if not commands:
            return
        mean_bytes = sum(map(size_of_command, commands)) / len(commands)
        room = _BATCHES * min(self._batch_items, int(self.batch_bytes / max(mean_bytes, 1)))
        most_before = max(0, room - len(commands))
        while self._log.length() > most_before and read_status(self._redis, self._keys) is not None:
            time.sleep(_POLL_S)

    def blocks(self, commands: Iterable[Command], most: int) -> Iterator[list[Command]]:
        """Cut into blocks of at most ``most`` commands, none larger than a batch."""
        block: list[Command] = []
        size = 0
        for command in commands:
            added = size_of_command(command)
            if block and (len(block) >= min(most, self._batch_items) or size + added > self.batch_bytes):
                yield block
                block, size = [], 0
            block.append(command)
            size += added
        if block:
            yield block


def size_of_command(command: Command) -> int:
    """About how many bytes it takes in the stream."""
    return sum(len(name) + len(str(value)) for name, value in command.items())
