"""Checks of ``recommender doctor`` with several partitions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.keys import ROUTES, PartitionKeys
from celery_recommender.cli.output.findings import Finding
from celery_recommender.settings import Settings


def check_forwards(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Commands that an owner could not pass on to another partition."""
    for target, failed in sorted(status.get("not_passed_on", {}).items()):
        yield Finding(
            "passing on", "failed", f"{failed['commands']:,} commands for {target!r} are dead letters", failed["reason"]
        )


def check_places(redis: Redis, settings: Settings) -> Iterator[Finding]:
    """Whether owners agree on the partitions, and collections are where they belong."""
    if not settings.partitions:
        return
    for partition in settings.partitions:
        status = read_status(redis, PartitionKeys.of(partition, settings.key_prefix)) or {}
        listed = status.get("partitions")
        if listed is not None and set(listed) != set(settings.partitions):
            yield Finding(
                "partitions",
                "failed",
                f"the owner of {partition} knows of {', '.join(listed)}",
                "give every process the same RECOMMENDER_PARTITIONS, and start it again",
            )
        for one in status.get("moving", ()):
            yield Finding(
                "move",
                "warning",
                f"collection {one['collection']!r} is {one['place']}: {one['source']} to {one['target']}",
                f"give the command again: recommender move {shlex.quote(one['collection'])} --to {one['target']}",
            )
    found: Any = redis.hgetall(settings.key_prefix + ROUTES)
    for name, partition in sorted(found.items()):
        if partition.decode(errors="replace") not in settings.partitions:
            yield Finding(
                "routes",
                "failed",
                f"collection {name.decode(errors='replace')!r} is in {partition.decode(errors='replace')!r}",
                "that is none of RECOMMENDER_PARTITIONS: its commands go to a partition that has not got it",
            )
