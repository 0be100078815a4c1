"""Routing among partitions: which partition the collection of a command belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from redis import Redis

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.routing.routes import Routing
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.event_log import event_log
from recommender_engine.items import (
    START,
    CollectionCommand,
    CollectionDeleted,
    Entry,
    EntryId,
    Event,
    MoveCollection,
    rejected_command,
)
from recommender_engine.recent import Recent

log = event_log(__name__)

_LOOK_EVERY_S = 0.2
_MOST_NAMES = 65_536  # names of at most 256 bytes; senders can invent any number


class PartitionRouting:
    """Routes of the collections of one partition among several.

    Args:
        engine: of this partition.
        settings: which partitions there are.
        redis: the server.
        passed_on: the partition that a command was forwarded to when it was first read, from the entry and the
            partition by the current routes.
        listed: whether the partitions of a move were listed when it was first read, from the entry and whether they
            are listed now.
    """

    def __init__(
        self,
        engine: Recommender,
        settings: Settings,
        redis: Redis,
        passed_on: Callable[[Entry, str | None], str | None],
        listed: Callable[[EntryId, bool], bool],
    ) -> None:
        self._engine = engine
        self._partition = settings.partition
        self._key_prefix = settings.key_prefix
        self._all = frozenset(settings.all_partitions)
        self._others = [name for name in settings.all_partitions if name != settings.partition]
        self._redis = redis
        self._routing = Routing(redis, settings)
        self._passed_on = passed_on
        self._listed = listed
        self._known_here: Recent[str, None] = Recent(_MOST_NAMES)
        self._lock = threading.Lock()  # of the intake's thread and the engine's
        self._deleted: set[str] = set()

    def route(self, entry: Entry) -> Entry:
        """The entry, with the partition that it belongs to by the settings, if that is another one.

        A step of a move with a partition that is not listed becomes a rejected command. A collection that was once
        here stays here, whatever the settings: only a command in the log moves it away.

        Raises:
            RedisError: the server is away.
        """
        if isinstance(entry.command, MoveCollection) and (error := self._check_listed(entry.id, entry.command)):
            raw = entry.command.model_dump_json(exclude_unset=True).encode()
            return replace(entry, command=rejected_command(error, raw, entry.command.type), original=entry.command)
        if not isinstance(entry.command, CollectionCommand) or not self._routing.several:
            return entry
        collection = entry.command.collection
        partition = self._partition if collection in self._known_here else self._routing.asked_now(collection)
        if partition == self._partition:
            with self._lock:
                self._known_here.put(collection, None)
        elsewhere = self._passed_on(entry, None if partition == self._partition else partition)
        return replace(entry, elsewhere=elsewhere) if elsewhere else entry

    def _check_listed(self, entry: EntryId, command: MoveCollection) -> InvalidCommand | None:
        unlisted = next((one for one in (command.source, command.target) if one not in self._all), None)
        if self._listed(entry, unlisted is None):
            return None
        return InvalidCommand(
            "unknown_partition", f"{unlisted or 'one of the two'!r} is none of the partitions (RECOMMENDER_PARTITIONS)"
        )

    def keep(self) -> None:
        """Write routes for collections that are here but belong elsewhere by the hash of their name.

        So one more partition in the list changes nothing for existing collections until they are moved. This includes
        collections that came by a move: their route may never have been written.
        """
        engine = self._engine
        if not self._routing.several:
            return
        for collection in (name for name in engine.settings() if engine.moves.partition_of(name) is None):
            partition = self._routing.partition_of(collection)
            if partition == self._partition:
                continue
            self._routing.keep(collection, self._partition, replace=False)
            if self._routing.asked_now(collection) == self._partition:
                log.info("owner.collection_kept", extra={"collection": collection, "by_settings": partition})
            else:
                log.error("owner.collection_elsewhere", extra={"collection": collection, "partition": partition})

    def committed(self, events: Iterable[Event]) -> None:
        """Note deleted collections: they no longer belong to this partition."""
        if not self._routing.several:
            return
        for collection in [event.data.collection for event in events if isinstance(event.data, CollectionDeleted)]:
            with self._lock:
                self._known_here.drop(collection)
            self._deleted.add(collection)

    def forget_routes(self) -> None:
        """Drop the routes of deleted collections, once the deletion was sent to the other partitions."""
        engine = self._engine
        if not self._deleted or engine.moves.passing():
            return
        try:
            for collection in list(self._deleted):
                if not engine.has(collection) and engine.moves.of(collection) is None:
                    self._routing.drop(collection, self._partition)
                self._deleted.discard(collection)
        except AWAY as error:
            log.warning("owner.routes_kept", extra={"error": str(error)})

    def await_others(self, stopping: threading.Event) -> None:
        """Wait, as a new partition, until the existing ones have written routes for the collections that they keep."""
        logged = False
        while self._engine.position == START and not stopping.is_set() and (name := self._unready()) is not None:
            if not logged:
                log.warning("owner.waits_for_partition", extra={"partition": name})
            logged = True
            stopping.wait(_LOOK_EVERY_S)

    def _unready(self) -> str | None:
        """A partition with a state whose owner does not list this partition in its status yet."""
        for name in self._others:
            keys = PartitionKeys.of(name, self._key_prefix)
            if not self._redis.exists(keys.state):
                continue
            if self._partition not in (read_status(self._redis, keys) or {}).get("partitions", ()):
                return name
        return None
