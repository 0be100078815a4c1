"""Drops events from their stream when the rule says so, and says which consumer group is behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from celery_recommender.broker.events.retention import (
    MOST_TOLD,
    EventGroup,
    Gap,
    event_groups,
    first_event,
    first_needed,
    note_gaps,
)
from celery_recommender.broker.events.stream import EventsStream
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.event_log import event_log

log = event_log(__name__)


class EventKeeper:
    """Looks after the events stream about once a second.

    Length and bytes of the stream are bounded whatever the rule: a group that never reads holds nothing up, it misses
    events, and can read them again from the store. Which it has missed stands in a hash beside the stream.

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
        self._missed: dict[str, Gap] = {}

    def tend(self, engine: Recommender, now_ms: int) -> dict[str, Any]:
        """Drop what is not kept; returns what to say about the stream.

        Args:
            engine: knows which events there were.
            now_ms: the server's time.
        """
        self._events.keep_bounds()
        groups = event_groups(self._redis, self._keys)
        first = first_needed(self._settings.events_retention, groups, now_ms, self._settings.events_hours)
        if first is not None:
            self._events.drop_before(first)
        self._note_missed(engine, groups[:MOST_TOLD], now_ms)
        length = self._events.length()
        behind_s = {group.name: _behind_s(group, now_ms) for group in groups[:MOST_TOLD]}
        self._metrics.events_stream(length, behind_s)
        told = [{"name": name, "behind_s": age, "missed": name in self._missed} for name, age in behind_s.items()]
        return {"entries": length, "groups": told}

    def _note_missed(self, engine: Recommender, groups: Sequence[EventGroup], now_ms: int) -> None:
        """Events that a group had not acknowledged are gone from the stream; until it has gone on behind them."""
        left = first_event(self._redis, self._keys) or self._events.last_id().successor
        found: dict[str, Gap] = {}
        for group in groups:
            missed = engine.outbox.dropped_from(group.needs_from, left)
            if missed is not None:
                found[group.name] = self._missed.get(group.name, Gap(missed, left, now_ms))._replace(up_to=left)
        for name, gap in found.items():
            if name not in self._missed:
                log.warning("events.dropped_unread", extra={"group": name, "first": str(gap.first)})
        if new := {name: gap for name, gap in found.items() if self._missed.get(name) != gap}:
            note_gaps(self._redis, self._keys, new)
        self._missed = found


def _behind_s(group: EventGroup, now_ms: int) -> float:
    return 0.0 if group.unread is None else max(0.0, (now_ms - group.unread.ms) / 1000)
