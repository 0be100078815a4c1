"""``recommender hits``."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from celery_recommender.celery.tasks.questions import MOST_DAYS, Hits
from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import collection_option, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.locating import located


@click.command()
@collection_option
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=28, show_default=True, help="Lists of so many days.")
@json_option
def hits(collection: str, *, days: int, as_json: bool) -> None:
    """Show how often lists of recommendations that were shown led to an interaction within a day.

    A row for each scenario and arm of an experiment; the interval is that of 95 %. Days are those of stream time.

    \b
    recommender hits --collection products --days 7

    Exit code 1 if the collection does not exist.
    """
    with owner_or_state(located(load_settings(), collection)) as ask:
        found: list[dict[str, Any]] | None = ask(Hits, collection=collection, days=days)
    if as_json:
        print_json(found)
    elif found is None:
        out.print(printable(f"no collection {collection!r}"))
    else:
        out.print(_table(found) if found else printable(f"no list of collection {collection!r} was shown"))
    if found is None:
        raise click.exceptions.Exit(1)


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "arm", "lists", "hits", "hit rate", "items", "used", "mean reciprocal rank"):
        table.add_column(heading, justify="left" if heading in {"scenario", "arm"} else "right", no_wrap=True)
    for one in found:
        rate = f"{one['hit_rate']:.1%} ({one['hit_rate_low']:.1%} to {one['hit_rate_high']:.1%})"
        names = (printable(one[name] or "-") for name in ("scenario", "arm"))
        counts = (f"{one[name]:,}" for name in ("lists", "hits"))
        items = (f"{one[name]:,}" for name in ("items", "items_used"))
        table.add_row(*names, *counts, rate, *items, f"{one['mean_reciprocal_rank']:.3f}")
    return table
