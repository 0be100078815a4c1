"""``recommender list`` and ``recommender group``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from celery_recommender.celery.tasks.questions import Group, ListItems
from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import (
    BAND_STYLES,
    after_option,
    collection_option,
    counted,
    json_option,
    load_settings,
    out,
    print_json,
    printable,
    tell_next,
)
from celery_recommender.cli.locating import located, point_to_collection
from celery_recommender.texts import compared_text
from recommender_engine.items import Band

_TEXT_SHOWN = 90


@click.command("list")
@collection_option
@click.option(
    "--band",
    "bands",
    multiple=True,
    type=click.Choice([band.value for band in Band]),
    help="Only this band; repeatable.",
)
@click.option(
    "--order",
    default="arrival",
    show_default=True,
    type=click.Choice(["arrival", "probability"]),
    help="What comes first.",
)
@click.option("--ascending", is_flag=True, help="The earliest, or the least probable, first.")
@click.option("--text", metavar="WORDS", help="Only items that have each of these words.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="Maximum number of items.")
@after_option
@json_option
def list(  # noqa: A001 (the name of the command)
    collection: str,
    bands: Sequence[str],
    order: str,
    text: str | None,
    limit: int,
    after: str | None,
    *,
    ascending: bool,
    as_json: bool,
) -> None:
    """List the items of a collection as they stand now, the latest first.

    An item is `duplicate` while an earlier one of its group is stored. A page costs the same in a large collection; the
    last line says how to get the next one.

    \b
    recommender list --collection tickets
    recommender list --collection tickets --band duplicate --band review --order probability
    recommender list --collection tickets --text "cannot log in" --limit 200 --json
    """
    with owner_or_state(located(load_settings(), collection)) as ask:
        page = ask(
            ListItems,
            collection=collection,
            bands=[*bands] or None,
            order=order,
            descending=not ascending,
            after=after,
            limit=limit,
            text=text,
        )
    if page is None:
        raise click.ClickException(f"there is no collection {collection!r}")
    if as_json:
        print_json(page)
        return
    _show(page["items"], "no such item")
    tell_next(page["next"])


@click.command()
@click.argument("item_id", metavar="ID")
@collection_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="Maximum number of members.")
@after_option
@json_option
def group(item_id: str, collection: str, limit: int, after: str | None, *, as_json: bool) -> None:
    """Show the group of the item with this ID: all that repeats it or that it repeats, the earliest first.

    `recommender feedback different` takes one out, `recommender feedback same` joins two groups.

    \b
    recommender group T-17 --collection tickets
    """
    with owner_or_state(located(load_settings(), collection)) as ask:
        page = ask(Group, item_id, collection=collection, after=after, limit=limit)
    if page is None:
        point_to_collection(load_settings(), item_id, collection)
        raise click.ClickException(f"there is no item {item_id!r} in collection {collection!r}")
    if as_json:
        print_json(page)
        return
    said = f"group {page['group']}: {counted(page['size'], 'item')}, canonical {page['canonical']}"
    out.print(printable(said))
    _show(page["members"], "")
    tell_next(page["next"])


def _show(items: Sequence[dict[str, Any]], otherwise: str) -> None:
    if not items:
        out.print(otherwise)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("arrived (UTC)", "band", "p", "id", "of", "text"):
        table.add_column(heading, no_wrap=heading != "text", justify="right" if heading == "p" else "left")
    for item in items:
        text = " ".join(compared_text(item).split())[:_TEXT_SHOWN]
        band = printable(item["band"])
        band.stylize(BAND_STYLES[item["band"]])
        of = printable(item["duplicate_of"] or "")
        arrived = item["arrived_at"][:16].replace("T", " ")
        table.add_row(arrived, band, f"{item['probability']:.2f}", printable(item["id"]), of, printable(text))
    out.print(table)
