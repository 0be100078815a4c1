"""``recommender move``."""

from __future__ import annotations

from typing import Any

import click
from rich.progress import Progress

from celery_recommender.broker.redis.connections import connect
from celery_recommender.cli.asking import require_answers, require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.operate.mover import MoveFailed, Mover

_SHOWN = ("place", "move", "source", "target", "page", "items", "waiting")


@click.command()
@click.argument("collection")
@click.option("--to", "target", metavar="PARTITION", help="Target partition.")
@click.option("--status", is_flag=True, help="Show the progress; change nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would be moved; change nothing.")
@click.option("--cancel", is_flag=True, help="Undo a move that has not arrived.")
@json_option
def move(collection: str, target: str | None, *, status: bool, dry_run: bool, cancel: bool, as_json: bool) -> None:
    """Move COLLECTION to another partition, while producers continue.

    Both partitions need a worker. After a kill the same command continues where it stopped: docs/guide/partitions.md.
    Exit code 1 when the move has stopped.

    \b
    recommender move tickets --to b
    recommender move tickets --status
    """
    if sum((target is not None, status, cancel)) != 1:
        raise click.UsageError("give --to PARTITION, or --status, or --cancel")
    settings = load_settings()
    if target is not None and target not in settings.partitions:
        listed = ", ".join(settings.partitions)
        there = (
            f"is not one of RECOMMENDER_PARTITIONS ({listed})" if listed else "needs RECOMMENDER_PARTITIONS to be set"
        )
        raise click.UsageError(f"--to {target!r} {there}")
    require_answers(settings)
    settings = require_server(settings)
    with connect(settings.redis_url) as redis, progress_bar() as bar:
        mover = Mover(settings, redis, collection, target or settings.home, _Shown(bar))
        try:
            if status:
                result: Any = mover.where()
            elif cancel:
                result = mover.cancel()
            elif dry_run:
                result = _plan(mover, str(target))
            else:
                result = mover.run()
        finally:
            mover.close()
    if as_json:
        print_json(result)
    elif status:
        _show(result)
    else:
        out.print(printable(_sentence(result)))


class _Shown:
    """Progress, as one bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("looking", total=None)

    def __call__(self, step: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=step, completed=done, total=total or None)


def _plan(mover: Mover, target: str) -> dict[str, Any]:
    where = mover.where()
    source = mover.source(where)
    if target not in where:
        raise MoveFailed(f"partition {target!r} has no owner at work")
    return {"source": source, "target": target, "items": where[source]["items"], "dry_run": True}


def _sentence(result: dict[str, Any]) -> str:
    names = f"{result['source']} to {result['target']}"
    if result.get("cancelled"):
        return f"cancelled: it stays in {result['source']}"
    if result.get("dry_run"):
        return f"would move {result['items']:,} items from {names}"
    if result["source"] == result["target"]:
        return f"it is in {result['target']}, with {result['items']:,} items"
    return f"moved from {names}: {result['items']:,} items"


def _show(where: dict[str, dict[str, Any]]) -> None:
    for partition, one in where.items():
        details = ", ".join(f"{name} {one[name]}" for name in _SHOWN[1:] if one[name])
        out.print(printable(f"{partition:12} {one['place']}{': ' + details if details else ''}"))
