"""``recommender stats``."""

from __future__ import annotations

from typing import Any

import click
from redis import Redis
from rich.table import Table

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.tasks.questions import Stats
from celery_recommender.cli.asking import owner_or_state, server_at_work
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.cli.locating import every_partition
from celery_recommender.cli.output.fleet import fleet_sentence
from celery_recommender.cli.output.measured import told_of_closed
from celery_recommender.settings import Settings


@click.command()
@json_option
def stats(*, as_json: bool) -> None:
    """Show contents, backlog and owner of the partition, or of each of several partitions (--json: a list)."""
    settings = load_settings()
    results = []
    for one in every_partition(settings):
        with owner_or_state(one) as ask:
            results.append({"partition": one.partition, **_on_the_server(one), **ask(Stats)})
    if as_json:
        print_json(results if settings.partitions else results[0])
        return
    for place, result in enumerate(results):
        if place:
            out.print()
        _show(result)


def _on_the_server(settings: Settings) -> dict[str, Any]:
    """Owner and streams; ``None`` for both while our own server is not running, which is not started for a look."""
    url = server_at_work(settings)
    if url is None:
        return {"owner": None, "streams": None}
    keys = PartitionKeys.of(settings.partition, settings.key_prefix)
    with connect(url) as redis:
        return {
            "owner": read_status(redis, keys),
            "streams": {"commands": _length(redis, keys.commands), "events": _length(redis, keys.events)},
        }


def _length(redis: Redis, key: str) -> int:
    return int(redis.xlen(key))


def _show(result: dict[str, Any]) -> None:
    owner, streams = result["owner"], result["streams"]
    out.print(f"partition   {result['partition']}")
    who = "none" if owner is None else f"{owner['state']}, process {owner['pid']} on {owner['host']}"
    out.print(printable(f"owner       {who}"))
    if owner is not None:
        out.print(
            f"waiting     {owner.get('lag', 0):,} commands, the oldest for {owner.get('oldest_waiting_s', 0):.1f} s"
        )
        out.print(printable(f"encoder     {owner.get('encoder', 'not loaded yet')}"))
        if (fleet := owner.get("fleet")) is not None:
            out.print(printable(f"fleet       {fleet_sentence(fleet)}"))
    out.print(f"position    {result['position']}")
    held = "their server is not running" if streams is None else "{commands:,} commands, {events:,} events"
    out.print("streams     " + held.format(**streams or {}))
    kept = ", ".join(f"{kind} {size / 2**20:,.0f} MiB" for kind, size in result["kept_bytes"].items())
    out.print(f"in memory   {kept}")
    table = Table(box=None, pad_edge=False)
    for heading in ("collection", "items", "points", "review", "index", "recall", "model", "closed: not yet measured"):
        right = heading in ("items", "points", "review", "recall")
        table.add_column(heading, justify="right" if right else "left")
    for name, one in result["collections"].items():
        model = printable(one["model"] or "-")
        recall = "-" if one["recall"] is None else f"{one['recall']:.3f}"
        counts = f"{one['items']:,}", f"{one['points']:,}", f"{one['review_share']:.1%}"
        table.add_row(printable(name), *counts, one["index"], recall, model, told_of_closed(one["not_measured"]))
    out.print(table)
    for name, one in result["collections"].items():
        if (weights := one["list_weights"]) is not None:
            blends = ", ".join(f"{blend} ({uses})" for uses, blend in weights["by_interactions"].items())
            out.print(
                printable(f"lists for items of {name}, by interactions with the item: {blends}; {weights['why']}")
            )
