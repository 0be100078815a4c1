"""``recommender recommend``."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from celery_recommender.celery.tasks.questions import Recommendations
from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import collection_option, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.filters import filter_options
from celery_recommender.cli.locating import located, point_to_collection
from celery_recommender.texts import compared_text
from recommender_engine.items.list_request import MOST_LISTED

_TEXT_SHOWN = 60


@click.command()
@click.option("--item", help="Like this item.")
@click.option("--text", help="Like this text.")
@click.option("--like", multiple=True, metavar="ID", help="Like these items; may be repeated.")
@click.option("--unlike", multiple=True, metavar="ID", help="With --like: and unlike these.")
@click.option("--user", help="For this user.")
@click.option("--session", help="For this anonymous session.")
@collection_option
@click.option("--scenario", help="With the options that the settings of the collection hold under this name.")
@click.option("--limit", type=click.IntRange(1, MOST_LISTED), help="Length of the list.  [default: 10]")
@click.option("--exclude", multiple=True, metavar="ID", help="Leave this item out; may be repeated.")
@click.option("--known", is_flag=True, help="Rank what the user has used before too, by how often.")
@click.option(
    "--variants",
    type=click.Choice(["all", "one"]),
    help="List one of the colours and sizes of a product.  [default: all]",
)
@click.option("--diversity", type=click.FloatRange(0.0, 1.0), help="How much likeness costs.  [default: 0.2]")
@filter_options
@json_option
def recommend(
    item: str | None,
    collection: str,
    *,
    known: bool,
    passing: dict[str, Any] | None,
    as_json: bool,
    **request: Any,
) -> None:
    """Show recommendations from texts and from what users did. Without options: what is popular, and what is new.

    \b
    recommender recommend --collection products --item P-17
    recommender recommend --collection products --user u-1042 --where 'stock>0'
    recommender recommend --collection products --user u-1042 --known     # what is bought again
    recommender recommend --collection products --like P-17 --like P-4 --unlike P-9

    Exit code 1 if the item does not exist.
    """
    asked = {name: value for name, value in request.items() if value not in (None, ())}
    if passing is not None:
        asked["filter"] = passing
    if item is not None:
        asked["item"] = item
    if known:
        asked["known"] = "keep"
    asked.update({name: list(value) for name, value in asked.items() if isinstance(value, tuple)})
    with owner_or_state(located(load_settings(), collection)) as ask:
        listed = ask(Recommendations, collection=collection, **asked)
    if as_json:
        print_json(listed)
    elif listed is None:
        out.print(printable(f"no item {item!r} in collection {collection!r}"))
    else:
        out.print(_table(listed) if listed else printable(f"nothing to recommend in collection {collection!r}"))
    if listed is None:
        point_to_collection(load_settings(), str(item), collection)
        raise click.exceptions.Exit(1)


def _table(listed: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("score", "id", "text", "why"):
        table.add_column(heading, justify="right" if heading == "score" else "left", no_wrap=heading != "why")
    for one in listed:
        text = " ".join(compared_text(one).split())
        shown = text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]}…"
        table.add_row(f"{one['score']:.3f}", printable(one["id"]), printable(shown), printable(one["why"]))
    return table
