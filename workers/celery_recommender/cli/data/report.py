"""``recommender report``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from celery_recommender.celery.tasks.questions import Get
from celery_recommender.cli.asking import Ask, owner_or_state
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.stored import pages
from celery_recommender.cli.locating import located
from celery_recommender.report.page import page
from celery_recommender.report.summary import MOST_PAIRS, summarise
from recommender_engine.errors import ConfigurationError


@click.command()
@click.argument("collection")
@click.argument("target", metavar="OUT.html", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--last", type=click.IntRange(1), help="Only this many newest items.  [default: all]")
@click.option(
    "--pairs", "most_pairs", default=MOST_PAIRS, show_default=True, type=click.IntRange(0, 10_000), help="Pairs shown."
)
@click.option("--title", help="Heading of the page.  [default: COLLECTION]")
@json_option
def report(
    collection: str, target: Path, last: int | None, most_pairs: int, title: str | None, *, as_json: bool
) -> None:
    """Write the verdicts of COLLECTION as one HTML file, to be opened in a browser, printed or mailed.

    It shows the probabilities of the closest matches with a movable threshold, sizes of groups, the largest groups, and
    pairs with reasons. The file loads nothing from elsewhere. It holds texts of items: treat it as you treat them.

    \b
    recommender report tickets tickets.html
    """
    if not target.parent.is_dir():
        raise ConfigurationError(f"{target}: there is no folder {target.parent}")
    with progress_bar() as bar, owner_or_state(located(load_settings(), collection)) as ask:
        summary = summarise(_views(ask, collection, last, bar), title or collection, most_pairs=most_pairs)
    target.write_text(page(summary), encoding="utf-8")
    if as_json:
        print_json({"out": str(target), "items": summary.items, "bands": summary.bands, "pairs": len(summary.pairs)})
    else:
        out.print(printable(f"{summary.items:,} items and {len(summary.pairs):,} pairs written to {target}"))


def _views(ask: Ask, collection: str, last: int | None, bar: Progress) -> Iterator[Mapping[str, Any]]:
    """The items in order of arrival, with their verdicts."""
    task = bar.add_task("read", total=None)
    for one in pages(ask, collection, last):
        ids = [item["id"] for item in one["items"]]
        yield from (view for view in ask(Get, ids, collection=collection) if view is not None)
        bar.update(task, advance=len(ids), total=one["total"])
