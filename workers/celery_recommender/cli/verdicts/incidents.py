"""``recommender incidents``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from celery_recommender.celery.tasks.questions import Incidents
from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.cli.locating import every_partition, located

_TEXT_SHOWN = 60


@click.command()
@click.option("--collection", help="Only incidents of this collection.  [default: of all]")
@json_option
def incidents(collection: str | None, *, as_json: bool) -> None:
    """Show the open incidents: groups that grow out of their own baseline.

    Collections are watched whose setting `incidents` is on.

    \b
    recommender configure tickets incidents=true
    recommender incidents --collection tickets
    """
    settings = load_settings()
    found: list[dict[str, Any]] = []
    for one in every_partition(settings) if collection is None else [located(settings, collection)]:
        with owner_or_state(one) as ask:
            found += ask(Incidents, collection=collection)
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("no incident is open")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("since (UTC)", "items", "usual an hour", "incident", "collection", "like"):
        table.add_column(heading, no_wrap=heading != "like")
    for view in found:
        since = datetime.fromtimestamp(view["opened_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        text = " ".join(view["text"].split())[:_TEXT_SHOWN]
        like = "" if view["canonical_id"] is None else f"{view['canonical_id']}: {text}"
        cells = str(view["items"]), f"{view['usual_per_hour']:.2f}", view["incident"], view["collection"], like
        table.add_row(since, *(printable(cell) for cell in cells))
    out.print(table)
