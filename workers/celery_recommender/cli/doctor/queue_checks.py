"""Checks of ``recommender doctor`` on queues: results that cannot be read, questions, deliveries, dead letters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from celery_recommender.broker.redis.connections import connect, is_redis
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.priorities import lists_of
from celery_recommender.cli.output.findings import Finding, State
from celery_recommender.settings import Settings

_FAILING_S = 1.0
_MANY = 1000


def check_lanes(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Results and deliveries that the owner tries in vain."""
    for name, lane in status.get("lanes", {}).items():
        waiting, failing_s = lane.get("waiting", 0), lane.get("failing_s", 0.0)
        if failing_s >= _FAILING_S:
            found = f"nothing has arrived for {failing_s:,.0f} s, {waiting:,} wait: {lane.get('reason', '')}"
            advice = _OF_A_WEBHOOK if name.startswith("webhook ") else _ADVICE.get(name, "")
            yield Finding(name, "failed", found, advice)
        elif waiting:
            yield Finding(name, "ok", f"{waiting:,} wait")


_ADVICE = {
    "results": "is the worker's result backend up, and may its user write there?",
    "links": "are result backend and broker up, and is there a queue for the tasks that follow?",
    "deliveries": "is there a queue for RECOMMENDER_DELIVER_TASK (RECOMMENDER_DELIVER_QUEUE, task_queues), and is its"
    " broker up? What cannot be sent becomes a dead letter",
}

_OF_A_WEBHOOK = (
    "see the log of its receiver; an event that is older than RECOMMENDER_WEBHOOK_RETRY_S is given up, and the first"
    " thousand of them are dead letters"
)


def check_queues(redis: Redis, settings: Settings, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Lists of the broker that no worker seems to read, and dead letters.

    Args:
        redis: the server of the streams.
        settings: of the partition.
        status: what its owner last said, if there is one.
    """
    keys = PartitionKeys.of(settings.partition, settings.key_prefix)
    yield from _letters(redis, keys)
    if not is_redis(settings.broker_url or settings.redis_url):
        return
    try:
        if settings.broker_url:
            with connect(settings.broker_url) as broker:
                yield from _lists(broker, settings, keys, status)
        else:
            yield from _lists(redis, settings, keys, status)
    except NoPermissionError:
        return  # an auditor sees the partition only
    except RedisError as error:
        yield Finding("broker", "failed", str(error), "is RECOMMENDER_BROKER_URL right, and the broker up?")


def _lists(
    broker: Redis, settings: Settings, keys: PartitionKeys, status: Mapping[str, Any] | None
) -> Iterator[Finding]:
    waiting = sum(int(broker.llen(one)) for one in lists_of(keys.queue_key))
    limit = _MANY if status is not None else 0
    yield _queue(
        keys.queue, waiting, limit, "questions and tasks wait for an owner: start one, or give it more --concurrency"
    )
    if status is not None and (queue := status.get("deliver_queue")):
        waiting = sum(int(broker.llen(one)) for one in lists_of(settings.key_prefix + queue))
        yield _queue(queue, waiting, _MANY, "events wait for your task: start a Celery worker that reads this queue")


def _queue(name: str, waiting: int, most: int, advice: str) -> Finding:
    state: State = "warning" if waiting > most else "ok"
    return Finding(f"queue {name}", state, f"{waiting:,} messages wait", "" if state == "ok" else advice)


def _letters(redis: Redis, keys: PartitionKeys) -> Iterator[Finding]:
    try:
        letters = int(redis.xlen(keys.dead_letters))
    except NoPermissionError:
        return
    state: State = "warning" if letters else "ok"
    advice = "recommender dead-letters list says why; replay sends them again, drop deletes them" if letters else ""
    yield Finding("dead letters", state, f"{letters:,}", advice)
