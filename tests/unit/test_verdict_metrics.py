"""What the metrics of verdicts count: drift, latency, collections."""

from __future__ import annotations

import numpy as np
import pytest

from celery_recommender.owner.telemetry.drift import Drift
from celery_recommender.owner.telemetry.latency import Latencies
from celery_recommender.owner.telemetry.metrics import MOST_COLLECTIONS, OTHER, Metrics
from recommender_engine import open_recommender
from recommender_engine.items import Event
from tests.support.engine import Log, Models

ALERT = 8.0  # in deploy/prometheus/alerts.yml


def counted(*shares: tuple[float, int], seed: int = 5) -> tuple[Drift, list[float]]:
    """Independent items, of one share after the other."""
    random, drift, scores = np.random.default_rng(seed), Drift(), []
    for share, items in shares:
        for duplicate in random.random(items) < share:
            drift.count(duplicate=bool(duplicate))
            scores.append(drift.score)
    return drift, scores


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.98, 1.0])
def test_a_share_that_stays_is_no_drift(share: float) -> None:
    drift, scores = counted((share, 60_000))
    assert max(map(abs, scores)) < ALERT
    assert drift.past == pytest.approx(share, abs=0.01)
    assert scores[:999] == [0.0] * 999


@pytest.mark.parametrize(("before", "after"), [(0.05, 0.2), (0.3, 0.02), (0.0, 0.05), (1.0, 0.9)])
def test_a_share_that_jumps_is_seen_within_a_thousand_items(before: float, after: float) -> None:
    _, scores = counted((before, 20_000), (after, 1000))
    assert (max(scores) if after > before else -min(scores)) > ALERT
    drift, scores = counted((before, 20_000), (after, 100_000))
    assert abs(drift.score) < ALERT, "what stays becomes the past"


def test_a_command_counts_once_when_its_events_are_published() -> None:
    engine, log = open_recommender(None, Models()), Log()
    entries = [log.upsert("a", "one and the same"), log.upsert("b", "one and the same")]
    entries.append(log.upsert("c", "one and the same", silent=True))
    events: list[Event] = engine.process(entries)
    assert len(events) > 3, "a group has grown"
    latencies = Latencies()
    latencies.committed(events)
    at = [entry.id.ms for entry in entries]
    now = at[-1] + 1500
    assert sorted(latencies.published(now)) == sorted((now - ms) / 1000 for ms in at[:2])
    assert latencies.published(now) == []
    engine.close()


def test_few_collections_have_a_label_of_their_own() -> None:
    metrics, engine, log = Metrics("default"), open_recommender(None, Models()), Log()
    entries = [log.upsert(str(n), f"text {n}", collection=f"c{n}") for n in range(MOST_COLLECTIONS + 5)]
    metrics.committed(len(entries), engine.process(entries), 0.1)
    engine.close()
    values = {
        sample.labels["collection"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "recommender_collection_items_total"
    }
    assert values == {**{f"c{n}": 1.0 for n in range(MOST_COLLECTIONS)}, OTHER: 5.0}
