"""What an owner makes sure of at the start and again and again: that partition and commands stream are in order."""

from __future__ import annotations

import logging
import secrets

from redis import Redis

from recommender import Recommender
from workers.broker.commands_log import CommandsLog
from workers.broker.keys import PartitionKeys
from workers.broker.trimming import Trimming
from workers.owner.backups import BackupKeeper
from workers.owner.ownership import Ownership

log = logging.getLogger(__name__)


class Holding:
    """The partition as its owner holds it.

    Args:
        redis: the server.
        keys: of the partition.
        commands: the commands stream.
        trimming: of that stream.
        backups: which say what may be trimmed.
    """

    def __init__(
        self, redis: Redis, keys: PartitionKeys, commands: CommandsLog, trimming: Trimming, backups: BackupKeeper
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._commands = commands
        self._trimming = trimming
        self._backups = backups

    def identity(self, engine: Recommender) -> str:
        """What tells the state from any other."""
        return engine.identify(secrets.token_hex(16))

    def claim(self, engine: Recommender) -> None:
        """See to it that the partition is ours.

        Raises:
            NotOurs: it is another state directory's.
        """
        Ownership(self._redis, self._keys, self.identity(engine)).claim()

    def keep_stream(self, engine: Recommender) -> None:
        """See to it that the commands stream is there, and that what is appended comes behind the position."""
        if self._commands.keep_above(engine.position):
            log.error("owner.stream_was_reset", extra={"position": str(engine.position)})

    def trim(self, engine: Recommender) -> None:
        """Drop commands whose effects are durable."""
        self._trimming.trim(self.identity(engine), engine.position, self._backups.keep_from)
