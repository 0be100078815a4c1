"""The partitions of a producer: a log and a throttle for each, and the order of what it sends to a collection."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from redis import Redis

from celery_recommender.broker.commands.admission import NotPassedOn
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.pacing import Pacing
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.routing.routes import Routing
from celery_recommender.settings import Settings
from recommender_engine.event_log import event_log
from recommender_engine.items import EntryId

log = event_log(__name__)

T = TypeVar("T")

_RUN = 256
_PASSED_ON_WITHIN_S = 5.0
_POLL_S = 0.05


class Partition(NamedTuple):
    """One partition."""

    name: str
    keys: PartitionKeys
    log: CommandsLog
    pacing: Pacing
    redis: Redis


class AppendedCommand(EntryId):
    """The position of a command, and the partition whose stream it is in.

    Attributes:
        partition: its name.
    """

    partition: str

    @classmethod
    def at(cls, position: EntryId, partition: str) -> AppendedCommand:
        """A position in a partition."""
        placed = cls(*position)
        placed.partition = partition
        return placed


class Partitions:
    """All partitions of one producer.

    Args:
        redis: the server.
        settings: which there are.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self.routing = Routing(redis, settings)
        self._opened: dict[str, Partition] = {}
        self._last: dict[str, AppendedCommand] = {}
        self._waited: set[tuple[str, AppendedCommand]] = set()

    def of(self, name: str) -> Partition:
        """One of them."""
        if name not in self._opened:
            keys, settings = PartitionKeys.of(name, self._settings.key_prefix), self._settings
            log = CommandsLog(self._redis, keys, settings.most_waiting)
            pacing = Pacing(self._redis, keys, settings.batch_items, settings.batch_bytes)
            self._opened[name] = Partition(name, keys, log, pacing, self._redis)
        return self._opened[name]

    def append(
        self, collection: str | None, commands: list[dict[str, str | int]], requests: Mapping[str, str] | None = None
    ) -> list[AppendedCommand]:
        """Append commands of one collection where it belongs; arguments and errors are those of `CommandsLog`."""
        partition = self.belongs(collection)
        placed = [AppendedCommand.at(one, partition.name) for one in partition.log.append(commands, requests)]
        self.appended(collection, placed[-1:])
        return placed

    def belongs(self, collection: str | None) -> Partition:
        """The partition of a collection. If it has moved since this producer sent something, that has been passed on.

        Raises:
            NotPassedOn: it has not, after five seconds; the next calls ask again and do not wait.
        """
        name = self.routing.partition_of(collection)
        before = None if collection is None else self._last.get(collection)
        if collection is not None and before is not None and before.partition != name:
            self._await(collection, before, name)
        return self.of(name)

    def appended(self, collection: str | None, placed: Iterable[AppendedCommand]) -> None:
        """The position of the last command that this producer sent to a collection."""
        if collection is not None and self.routing.several:
            self._last.update((collection, one) for one in placed)

    def groups(self, values: Iterable[tuple[str | None, T]]) -> Iterator[tuple[Partition, list[tuple[str | None, T]]]]:
        """Values, each with its collection, by partition: each partition's in their order, a few hundred at a time."""
        waiting = iter(values)
        if not self.routing.several:
            yield self.of(self._settings.home), waiting  # type: ignore[misc]  # one by one, as they come
            return
        while run := list(islice(waiting, _RUN)):
            where = {collection: self.belongs(collection).name for collection in dict(run)}
            grouped: dict[str, list[tuple[str | None, T]]] = {}
            for collection, value in run:
                grouped.setdefault(where[collection], []).append((collection, value))
            for name, group in grouped.items():
                yield self.of(name), group

    def _await(self, collection: str, before: AppendedCommand, name: str) -> None:
        """Wait until what was sent to the partition of before has been passed on: or what follows would overtake it.

        An owner that is away has not passed it on either, and may be back in time.
        """
        wait_s = 0.0 if (collection, before) in self._waited else _PASSED_ON_WITHIN_S
        deadline_s = time.monotonic() + wait_s
        while not self._passed_on(before):
            if time.monotonic() >= deadline_s:
                self._waited.add((collection, before))
                keys = {"collection": collection, "source": before.partition, "target": name, "waited_s": wait_s}
                log.warning("producer.not_passed_on", extra=keys)
                raise NotPassedOn(
                    f"{collection!r} has moved from partition {before.partition!r} to {name!r}, and what was sent"
                    " before has not been passed on: nothing was appended, for it would overtake that. If no worker"
                    f" owns {before.partition!r}, start one; else try again"
                )
            time.sleep(_POLL_S)
        self._waited.discard((collection, before))

    def _passed_on(self, before: AppendedCommand) -> bool:
        """Whether a partition has decided and passed on all up to a position; true for one no longer listed."""
        if before.partition not in self._settings.all_partitions:
            return True
        status: Any = read_status(self._redis, self.of(before.partition).keys)
        decided = status is not None and EntryId.parse(status.get("position", "0-0")) >= before
        return decided and not status.get("passing")
