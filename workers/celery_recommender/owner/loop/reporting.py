"""What an owner reports once a second: fields of its status, and gauges."""

from __future__ import annotations

from typing import Any

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.redis.connections import memory_share
from celery_recommender.fleet.fleet import Fleet
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.delivery.dispatch import Dispatch
from celery_recommender.owner.delivery.publisher import Publisher
from celery_recommender.owner.telemetry.metrics import Metrics
from recommender_engine import Recommender
from recommender_engine.items import EntryId

_MOST_CLOSED_SHOWN = 20  # collections, of those in which a precision is not measured


def state_facts(engine: Recommender, publisher: Publisher, metrics: Metrics) -> dict[str, Any]:
    """What is in the state."""
    items, points = engine.sizes()
    metrics.index(points)
    metrics.review(engine.review_share())
    metrics.incidents(engine.open_incidents())
    metrics.hits(*engine.recent_hits())
    metrics.lists(*engine.subscriptions())
    metrics.kept(engine.kept_bytes())
    if recalls := engine.recalls():
        metrics.recall(min(recalls.values()))
    metrics.unpublished(publisher.backlog())
    passing = engine.moves.passing()
    metrics.passing(passing)
    closed = engine.promises.closed_anywhere(_MOST_CLOSED_SHOWN)
    return {
        "position": str(engine.position),
        "items": items,
        "passing": passing,
        "not_measured": {name: [one.model_dump(mode="json") for one in found] for name, found in closed.items()},
        "moving": engine.moves.under_way(),
    }


def backlog_facts(
    partition: HeldPartition, commands: CommandsLog, position: EntryId, ahead: EntryId | None, held: int
) -> dict[str, Any]:
    """Commands that wait.

    Args:
        partition: that is owned.
        commands: its commands stream.
        position: of the last command that has been decided.
        ahead: position of the first that has been read and not decided; ``None``: there is none.
        held: decided commands that are still in the stream.

    Returns:
        How many wait, and for how many seconds the oldest has waited.
    """
    oldest_ms = commands.oldest_waiting_ms(position) if ahead is None else ahead.ms
    if oldest_ms is None:
        return {"lag": 0, "oldest_waiting_s": 0.0}
    waited_s = (partition.clock.now_ms() - oldest_ms) / 1000
    return {"lag": max(1, commands.length() - held), "oldest_waiting_s": max(0.0, waited_s)}


def delivery_facts(dispatch: Dispatch, metrics: Metrics) -> dict[str, Any]:
    """What waits in each lane, and which lane delivers nothing."""
    facts = dispatch.facts()
    lanes: dict[str, dict[str, Any]] = facts["lanes"]
    metrics.lanes({name: lane.get("failing_s", 0.0) for name, lane in lanes.items()})
    return facts


def server_facts(partition: HeldPartition, most_waiting: int, metrics: Metrics) -> dict[str, Any]:
    """How much room producers have; in the metrics only."""
    metrics.room(most_waiting, memory_share(partition.redis) or 0.0)
    return {}


def backup_facts(backups: BackupKeeper, held: int, metrics: Metrics) -> dict[str, Any]:
    """The newest backup."""
    metrics.backups(backups.current_at, backups.failures, held)
    return backups.facts()


def fleet_facts(fleet: Fleet | None, metrics: Metrics) -> dict[str, Any]:
    """The embed workers, if there are to be any."""
    if fleet is None:
        return {}
    facts = fleet.status()
    metrics.fleet(facts["workers"], facts["expected"], facts["in_flight"])
    return {"fleet": facts}
