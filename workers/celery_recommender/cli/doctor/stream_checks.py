"""Checks of ``recommender doctor`` on the commands stream: ids ahead of the clock, commands that others dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis

from celery_recommender.broker.commands.id_repair import last_given
from celery_recommender.broker.commands.trusted_ids import last_trusted
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.cli.output.findings import Finding
from recommender_engine.items import START, EntryId

_ADVICE = "a producer appends with ids of its own, or the server's clock was set back: have producers append under *"


def check_ids(redis: Redis, keys: PartitionKeys, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Entries whose ids no clock has reached.

    Args:
        redis: the server.
        keys: of the partition.
        status: what the owner last said, if there is one.
    """
    clock = ServerClock(redis)
    clock.adjust()
    last = last_given(redis, keys.commands)
    read = EntryId.parse(status["position"]) if status is not None and "position" in status else START
    if last is not None and last > last_trusted(clock.now_ms(), read):
        yield Finding(
            "ids of commands",
            "warning",
            f"the last one, {last}, lies ahead of the server's clock",
            "keep a worker running: it gives these commands ids of now, within seconds; " + _ADVICE,
        )
    elif status is not None and (noted := status.get("ids_brought_back")):
        yield Finding(
            "ids of commands",
            "warning",
            f"{noted['commands']:,} commands had ids ahead of the server's clock, up to {noted['last_id']}, and were"
            " given ids of now",
            _ADVICE,
        )


def check_taken_away(status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Commands that others than the owner have dropped.

    Args:
        status: what the owner last said, if there is one.
    """
    if status is not None and (noted := status.get("commands_taken_away")):
        yield Finding(
            "commands taken away",
            "warning",
            f"{noted['commands']:,} commands were dropped from the stream by others than the owner; those that"
            " were not decided yet are lost",
            "a program appends with MAXLEN or MINID, or trims the stream: have it append without, and send its commands"
            " again",
        )
