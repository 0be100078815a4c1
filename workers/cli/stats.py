"""``recommender stats``."""

from __future__ import annotations

from typing import Any

import click
from redis import Redis
from rich.table import Table

from workers.broker.connections import connect
from workers.broker.keys import PartitionKeys
from workers.celery.tasks import Stats
from workers.cli.asking import owner_or_state
from workers.cli.common import json_option, load_settings, out, print_json
from workers.client import redis_url
from workers.owner.status import read_status


@click.command()
@json_option
def stats(*, as_json: bool) -> None:
    """Show what the partition holds, what waits, and how its owner is."""
    settings = load_settings()
    with connect(redis_url(settings)) as redis, owner_or_state(settings) as ask:
        keys = PartitionKeys.of(settings.partition)
        result = {
            "partition": settings.partition,
            "owner": read_status(redis, keys),
            "streams": {"commands": _length(redis, keys.commands), "events": _length(redis, keys.events)},
            **ask(Stats),
        }
    if as_json:
        print_json(result)
    else:
        _show(result)


def _length(redis: Redis, key: str) -> int:
    return int(redis.xlen(key))


def _show(result: dict[str, Any]) -> None:
    owner = result["owner"]
    out.print(f"partition   {result['partition']}")
    out.print(
        "owner       " + ("none" if owner is None else f"{owner['state']}, process {owner['pid']} on {owner['host']}")
    )
    if owner is not None:
        out.print(
            f"waiting     {owner.get('lag', 0):,} commands, the oldest for {owner.get('oldest_waiting_s', 0):.1f} s"
        )
    out.print(f"position    {result['position']}")
    out.print(f"streams     {result['streams']['commands']:,} commands, {result['streams']['events']:,} events")
    table = Table(box=None, pad_edge=False)
    for heading in ("collection", "items", "points", "index", "model"):
        table.add_column(heading, justify="right" if heading in ("items", "points") else "left")
    for name, one in result["collections"].items():
        table.add_row(name, f"{one['items']:,}", f"{one['points']:,}", one["index"], one["model"] or "-")
    out.print(table)
