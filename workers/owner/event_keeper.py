"""Drops events from their stream when the rule says so, and says which consumer group is behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from recommender.event_log import event_log
from recommender.items import EntryId
from workers.broker.events_stream import EventsStream
from workers.broker.keys import PartitionKeys
from workers.broker.retention import MOST_TOLD, EventGroup, event_groups, first_needed
from workers.owner.metrics import Metrics
from workers.settings import Settings

log = event_log(__name__)


class EventKeeper:
    """Looks after the events stream about once a second.

    The length of the stream is bounded where events are appended, whatever the rule: a group that never reads holds
    nothing up, it misses events, and can read them again from the store.

    Args:
        settings: the rule.
        redis: the server.
        keys: of the partition.
        events: the stream.
        metrics: where to count.
    """

    def __init__(
        self, settings: Settings, redis: Redis, keys: PartitionKeys, events: EventsStream, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._keys = keys
        self._events = events
        self._metrics = metrics
        self._unread: dict[str, EntryId] = {}
        self._missed: dict[str, EntryId] = {}

    def tend(self, now_ms: int) -> dict[str, Any]:
        """Drop what is not kept; returns what to say about the stream.

        Args:
            now_ms: the server's time.
        """
        groups = event_groups(self._redis, self._keys)
        self._note_missed(groups[:MOST_TOLD])
        first = first_needed(self._settings.events_retention, groups, now_ms, self._settings.events_hours)
        if first is not None:
            self._events.drop_before(first)
        length = self._events.length()
        behind_s = {group.name: _behind_s(group, now_ms) for group in groups[:MOST_TOLD]}
        self._metrics.events_stream(length, behind_s)
        told = [{"name": name, "behind_s": age, "missed": name in self._missed} for name, age in behind_s.items()]
        return {"entries": length, "groups": told}

    def _note_missed(self, groups: Sequence[EventGroup]) -> None:
        """An event that a group had not acknowledged when we looked last is gone, and the group has not moved."""
        for group in groups:
            before = self._unread.get(group.name)
            if before is not None and group.needs_from <= before and group.unread != before:
                if group.name not in self._missed:
                    log.warning("events.dropped_unread", extra={"group": group.name, "event": str(before)})
                self._missed[group.name] = before
            elif group.unread is None:
                self._missed.pop(group.name, None)
        self._unread = {group.name: group.unread for group in groups if group.unread is not None}
        self._missed = {name: id_ for name, id_ in self._missed.items() if name in {group.name for group in groups}}


def _behind_s(group: EventGroup, now_ms: int) -> float:
    return 0.0 if group.unread is None else max(0.0, (now_ms - group.unread.ms) / 1000)
