"""Prometheus metrics of an owner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from celery_recommender.owner.telemetry.drift import Drift
from recommender_engine.items import Band, CommandRejected, Event, ItemProcessed

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


MOST_COLLECTIONS, OTHER = 20, "(other)"
"""So many collections have a label of their own, in the order of their first items since the start."""


class Metrics:
    """One registry per owner. Of what messages say, labels carry names of collections only, and few of them."""

    def __init__(self, partition: str) -> None:
        self._drift = Drift()
        self._named: set[str] = set()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, file descriptors, processor time
        self._partition = partition
        by_partition, registry = ("partition",), self.registry
        self._commands = Counter(
            "recommender_commands", "Commands committed.", labelnames=by_partition, registry=registry
        )
        self._events = Counter(
            "recommender_events", "Events committed, by type.", labelnames=("partition", "type"), registry=registry
        )
        self._bands = Counter(
            "recommender_items", "Items decided, by band.", labelnames=("partition", "band"), registry=registry
        )
        self._by_collection = Counter(
            "recommender_collection_items",
            f"Items decided, by collection and band; collections beyond the first {MOST_COLLECTIONS} as {OTHER}.",
            labelnames=("partition", "collection", "band"),
            registry=registry,
        )
        self._latency = Histogram(
            "recommender_event_latency_seconds",
            "Seconds from the append of a command to the publication of its events.",
            labelnames=by_partition,
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self._rejected = Counter(
            "recommender_rejected",
            "Commands rejected, by code.",
            labelnames=("partition", "code"),
            registry=registry,
        )
        self._truncated = Counter(
            "recommender_truncated", "Items longer than the model reads.", labelnames=by_partition, registry=registry
        )
        self._stages = Histogram(
            "recommender_stage_seconds",
            "Seconds per batch, by stage.",
            labelnames=("partition", "stage"),
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self._batch = Histogram(
            "recommender_batch_commands",
            "Commands per batch.",
            buckets=(1, 4, 16, 64, 256, 1024),
            labelnames=by_partition,
            registry=registry,
        )

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(name, documentation, labelnames=("partition", *labels), registry=registry)

        self._lag = gauge("recommender_lag_commands", "Commands in the stream that are not committed yet.")
        self._oldest = gauge("recommender_oldest_waiting_seconds", "Age of the oldest waiting command.")
        self._limit = gauge(
            "recommender_waiting_limit_commands", "Commands that may wait before producers are refused; 0: any number."
        )
        self._memory = gauge(
            "recommender_redis_memory_share",
            "Used share of maxmemory of the Redis server; 0 without one.",
        )
        self._points = gauge("recommender_index_points", "Vectors in the indexes, by kind.", "kind")
        self._recall = gauge("recommender_index_recall", "Lowest sampled recall@10 of the HNSW indexes.")
        self._review = gauge("recommender_review_share", "Share of recent items in review.")
        self._duplicates = gauge(
            "recommender_duplicate_share", "Share of duplicates among the items of late, and among those before.", "of"
        )
        self._drifted = gauge(
            "recommender_duplicate_drift",
            "How far the share of duplicates of late is from that before, in standard errors; 0 before 1,000 items.",
        )
        self._incidents = gauge("recommender_open_incidents", "Incidents that are open.")
        self._lists = gauge("recommender_shown_lists", "Lists that were shown in about the last two days.")
        self._hits = gauge("recommender_hit_lists", "Lists of these that led to an interaction within a day.")
        self._subscriptions = gauge("recommender_subscriptions", "Lists of recommendations that are told.")
        self._changed_lists = gauge(
            "recommender_changed_lists", "Lists that may have changed and wait to be made again."
        )
        self._kept = gauge("recommender_kept_bytes", "Memory of caches, by kind.", "kind")
        self._unpublished = gauge("recommender_unpublished_events", "Committed events not published yet.")
        self._passing = gauge(
            "recommender_passing_commands", "Commands for other partitions that are not passed on yet."
        )
        self._stream = gauge("recommender_events_stream_entries", "Events in their stream.")
        self._behind = gauge(
            "recommender_events_group_behind_seconds",
            "Age of the oldest unacknowledged event of the ten slowest consumer groups.",
            "group",
        )
        self._held = gauge(
            "recommender_held_commands", "Decided commands kept in the stream until they are in a backup."
        )
        self._backup_at = gauge(
            "recommender_backup_timestamp_seconds",
            "Time up to which decisions are in a verified backup, in seconds since 1970.",
        )
        self._fleet_workers = gauge("recommender_fleet_workers", "Embed workers that answered within the last minute.")
        self._fleet_expected = gauge("recommender_fleet_expected_workers", "Expected embed workers.")
        self._fleet_in_flight = gauge("recommender_fleet_batches_in_flight", "Batches of texts at embed workers.")
        self._fleet_batches = Counter(
            "recommender_fleet_batches",
            "Batches sent to embed workers, by outcome.",
            labelnames=("partition", "outcome"),
            registry=registry,
        )
        self._brought_back = Counter(
            "recommender_commands_brought_back",
            "Commands that got new ids because theirs were too far ahead of the clock.",
            labelnames=by_partition,
            registry=registry,
        )
        self._brought_back.labels(partition)
        self._taken_away = Counter(
            "recommender_commands_taken_away",
            "Commands dropped from the stream by another process than the owner, decided or not.",
            labelnames=by_partition,
            registry=registry,
        )
        self._taken_away.labels(partition)
        self._webhook_events = Counter(
            "recommender_webhook_events",
            "Events for an endpoint, by outcome: delivered, or given up.",
            labelnames=("partition", "endpoint", "outcome"),
            registry=registry,
        )
        self._lanes = gauge(
            "recommender_delivery_failing_seconds",
            "Seconds for which a lane of deliveries has tried and nothing has arrived; 0 while it delivers.",
            "lane",
        )
        self._backup_failures = gauge("recommender_backup_failures", "Backups that failed since the worker started.")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of the loop."""
        with self._stages.labels(self._partition, name).time():
            yield

    def committed(self, commands: int, events: list[Event], seconds: float) -> None:
        """A batch has been committed, with its duration in seconds."""
        self._stages.labels(self._partition, "process").observe(seconds)
        self._commands.labels(self._partition).inc(commands)
        self._batch.labels(self._partition).observe(commands)
        items = [event.data.timings for event in events if isinstance(event.data, ItemProcessed)]
        if items:
            self._stages.labels(self._partition, "embed").observe(sum(one.embed_ms for one in items) / 1000)
            self._stages.labels(self._partition, "decide").observe(sum(one.decide_ms for one in items) / 1000)
        for event in events:
            self._events.labels(self._partition, event.data.type).inc()
            if isinstance(event.data, ItemProcessed):
                self._count_item(event.data, silent=event.silent)
            elif isinstance(event.data, CommandRejected):
                self._rejected.labels(self._partition, event.data.code).inc()

        self._duplicates.labels(self._partition, "recent").set(self._drift.recent)
        self._duplicates.labels(self._partition, "past").set(self._drift.past)
        self._drifted.labels(self._partition).set(self._drift.score)

    def _count_item(self, item: ItemProcessed, *, silent: bool) -> None:
        """A backfill, which is silent, says nothing about what arrives now."""
        self._bands.labels(self._partition, item.band.value).inc()
        if len(self._named) < MOST_COLLECTIONS:
            self._named.add(item.collection)
        collection = item.collection if item.collection in self._named else OTHER
        self._by_collection.labels(self._partition, collection, item.band.value).inc()
        if item.truncated:
            self._truncated.labels(self._partition).inc()
        if not silent:
            self._drift.count(duplicate=item.band is Band.DUPLICATE)

    def published(self, latencies_s: Iterable[float]) -> None:
        """Events of commands are in the stream, so long after their append."""
        for seconds in latencies_s:
            self._latency.labels(self._partition).observe(seconds)

    def brought_back(self, commands: int) -> None:
        """So many commands were given other ids."""
        self._brought_back.labels(self._partition).inc(commands)

    def taken_away(self, commands: int) -> None:
        """Commands were dropped by another client."""
        self._taken_away.labels(self._partition).inc(commands)

    def room(self, most_waiting: int, memory_share: float) -> None:
        """What bounds how much may wait."""
        self._limit.labels(self._partition).set(most_waiting)
        self._memory.labels(self._partition).set(memory_share)

    def backlog(self, lag: int, oldest_s: float) -> None:
        """What waits."""
        self._lag.labels(self._partition).set(lag)
        self._oldest.labels(self._partition).set(oldest_s)

    def backups(self, current_at: datetime | None, failures: int, held: int) -> None:
        """How backups go, and what is kept because of them."""
        self._held.labels(self._partition).set(held)
        self._backup_failures.labels(self._partition).set(failures)
        if current_at is not None:
            self._backup_at.labels(self._partition).set(current_at.timestamp())

    def webhook_events(self, endpoint: str, outcome: str) -> None:
        """An event was delivered to an endpoint, or given up."""
        self._webhook_events.labels(self._partition, endpoint, outcome).inc()

    def lanes(self, failing_s: Mapping[str, float]) -> None:
        """For how long each lane of deliveries has failed."""
        for lane, seconds in failing_s.items():
            self._lanes.labels(self._partition, lane).set(seconds)

    def fleet_batch(self, outcome: str) -> None:
        """What became of a batch that was given to the embed workers."""
        self._fleet_batches.labels(self._partition, outcome).inc()

    def fleet(self, workers: int, expected: int, in_flight: int) -> None:
        """Connected embed workers, and their batches."""
        self._fleet_workers.labels(self._partition).set(workers)
        self._fleet_expected.labels(self._partition).set(expected)
        self._fleet_in_flight.labels(self._partition).set(in_flight)

    def unpublished(self, events: int) -> None:
        """What is committed and not published."""
        self._unpublished.labels(self._partition).set(events)

    def passing(self, commands: int) -> None:
        """What is to be passed on to other partitions."""
        self._passing.labels(self._partition).set(commands)

    def events_stream(self, entries: int, behind_s: Mapping[str, float]) -> None:
        """Size of the events stream, and the lag of its groups."""
        self._stream.labels(self._partition).set(entries)
        self._behind.clear()
        for group, age_s in behind_s.items():
            self._behind.labels(self._partition, group).set(age_s)

    def recall(self, lowest: float) -> None:
        """Sampled recall of the worst of the approximate indexes."""
        self._recall.labels(self._partition).set(lowest)

    def review(self, share: float) -> None:
        """Share of ``review`` among the recent items."""
        self._review.labels(self._partition).set(share)

    def incidents(self, count: int) -> None:
        """How many incidents are open."""
        self._incidents.labels(self._partition).set(count)

    def hits(self, lists: int, hits: int) -> None:
        """Lists that were shown, and how many of them led to an interaction."""
        self._lists.labels(self._partition).set(lists)
        self._hits.labels(self._partition).set(hits)

    def lists(self, subscriptions: int, changed: int) -> None:
        """How many lists are told when they change, and how many of them wait to be made again."""
        self._subscriptions.labels(self._partition).set(subscriptions)
        self._changed_lists.labels(self._partition).set(changed)

    def kept(self, bytes_: Mapping[str, int]) -> None:
        """Bytes of the caches."""
        for kind, taken in bytes_.items():
            self._kept.labels(self._partition, kind).set(taken)

    def index(self, points: Mapping[str, int]) -> None:
        """Sizes by kind."""
        for kind in ("exact", "hnsw"):
            self._points.labels(self._partition, kind).set(points.get(kind, 0))
