"""``recommender report``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from celery_recommender.celery.tasks.questions import Get, ListItems
from celery_recommender.cli.asking import Ask, owner_or_state
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.locating import located
from celery_recommender.report.page import page
from celery_recommender.report.summary import MATCHED, MOST_PAIRS, summarise
from recommender_engine.errors import ConfigurationError

_PAGE = 200


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
    """The items in order of arrival; those that are matched to another with the whole verdict."""
    task = bar.add_task("read", total=last)
    listed: Iterable[list[dict[str, Any]]]
    if last is None:
        listed = _listed(ask, collection, descending=False)
    else:
        listed = reversed(list(_newest(_listed(ask, collection, descending=True), last)))
    for items in listed:
        matched = [item["id"] for item in items if item["band"] in MATCHED]
        verdicts = ask(Get, matched, collection=collection) if matched else []
        views = {view["item_id"]: view for view in verdicts if view is not None}
        yield from (views.get(item["id"]) or _in_short(item) for item in items)
        bar.update(task, advance=len(items))


def _listed(ask: Ask, collection: str, *, descending: bool) -> Iterator[list[dict[str, Any]]]:
    """Pages of items."""
    after: str | None = None
    while True:
        page = ask(ListItems, collection=collection, descending=descending, after=after, limit=_PAGE)
        if page is None:
            raise click.ClickException(f"there is no collection {collection!r}")
        yield page["items"]
        if (after := page["next"]) is None:
            return


def _newest(pages: Iterator[list[dict[str, Any]]], count: int) -> Iterator[list[dict[str, Any]]]:
    """So many items of pages that begin with the newest; each page in order of arrival."""
    for items in pages:
        taken = items[:count]
        count -= len(taken)
        yield taken[::-1]
        if not count:
            return


def _in_short(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item that is matched to none as the summary takes it; a probability of 0 is that of no match at all."""
    return {
        "item_id": item["id"],
        "text": item["text"],
        "compared": item["compared"],
        "band": item["band"],
        "group": item["group"],
        "canonical_id": None,
        "probability": item["probability"],
        "matched_id": item["id"] if item["probability"] else None,
        "reasons": [],
    }
