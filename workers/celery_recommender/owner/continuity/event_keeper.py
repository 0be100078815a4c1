"""Drops events from their stream by the retention rule, and reports which consumer groups are behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.events.retention import (
    MOST_SHOWN,
    EventGroup,
    Gap,
    event_groups,
    first_event,
    first_needed,
    note_gaps,
)
from celery_recommender.broker.events.stream import EventsStream
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.event_log import event_log

log = event_log(__name__)


class EventKeeper:
    """Looks after the events stream about once a second.

    Length and bytes of the stream are bounded whatever the rule: a group that never reads holds nothing up, it misses
    events, and can read them again from the store. Which it has missed is noted in a hash beside the stream.

    Args:
        engine: knows which events there were.
        settings: the rule.
        partition: that is owned.
        events: the stream.
        metrics: shows how far groups are behind.
    """

    def __init__(
        self, engine: Recommender, settings: Settings, partition: HeldPartition, events: EventsStream, metrics: Metrics
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._redis, self._keys = partition.redis, partition.keys
        self._clock = partition.clock
        self._events = events
        self._metrics = metrics
        self._missed: dict[str, Gap] = {}
        self._facts: dict[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        """For the status: what is in the stream, and the groups that are furthest behind."""
        return self._facts

    def tend(self) -> None:
        """Drop what is not kept."""
        now_ms = self._clock.now_ms()
        self._events.keep_bounds()
        groups = event_groups(self._redis, self._keys)
        first = first_needed(self._settings.events_retention, groups, now_ms, self._settings.events_hours)
        if first is not None:
            self._events.drop_before(first)
        self._note_missed(groups[:MOST_SHOWN], now_ms)
        length = self._events.length()
        behind_s = {group.name: _behind_s(group, now_ms) for group in groups[:MOST_SHOWN]}
        self._metrics.events_stream(length, behind_s)
        shown = [{"name": name, "behind_s": age, "missed": name in self._missed} for name, age in behind_s.items()]
        self._facts = {"events": {"entries": length, "groups": shown}}

    def _note_missed(self, groups: Sequence[EventGroup], now_ms: int) -> None:
        """Events that a group had not acknowledged are gone from the stream; until it has gone on behind them."""
        left = first_event(self._redis, self._keys) or self._events.last_id().successor
        found: dict[str, Gap] = {}
        for group in groups:
            missed = self._engine.outbox.dropped_from(group.needs_from, left)
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
