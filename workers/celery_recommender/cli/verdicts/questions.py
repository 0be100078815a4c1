"""``recommender search``, ``compare`` and ``get``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from celery_recommender.celery.tasks.questions import Compare, Get, Search
from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import (
    BAND_STYLES,
    collection_option,
    json_option,
    load_settings,
    out,
    print_json,
    printable,
)
from celery_recommender.cli.input.filters import filter_options
from celery_recommender.cli.locating import located, point_to_collection
from celery_recommender.frames.columns import why
from celery_recommender.texts import compared_text, highlights_of
from recommender_engine.pipeline.queries.search.searching import MOST_HITS

_TEXT_SHOWN = 100
_SPACE = re.compile(r"\s+")


@click.command()
@click.argument("text")
@collection_option
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="Maximum number of items.")
@click.option("--offset", default=0, show_default=True, type=click.IntRange(0, MOST_HITS - 1), help="Items to skip.")
@filter_options
@json_option
def search(
    text: str, collection: str, limit: int, offset: int, *, passing: dict[str, Any] | None, as_json: bool
) -> None:
    """Show the items nearest to TEXT in meaning and words. Nothing is stored; a group of duplicates appears once.

    \b
    recommender search "the app crashes when I open it" --collection tickets
    recommender search "DSC-W120" --collection products --limit 20 --offset 20
    recommender search "stoneware mug" --collection products --where 'stock>0' --where category=mugs
    recommender search "stoneware mug" --collection products --filter '{"tags": {"$in": ["new", "sale"]}}'
    """
    with owner_or_state(located(load_settings(), collection)) as ask:
        hits = ask(Search, text, collection=collection, limit=limit, offset=offset, filter=passing)
    if as_json:
        print_json(hits)
        return
    table = Table(box=None, pad_edge=False, show_header=bool(hits))
    for heading in ("score", "id", "text"):
        table.add_column(heading, justify="right" if heading == "score" else "left", no_wrap=heading != "text")
    for hit in hits:
        table.add_row(f"{hit['score']:.3f}", printable(hit["id"]), _marked(compared_text(hit), highlights_of(hit)))
    out.print(table if hits else f"nothing similar in collection {collection!r}")


@click.command()
@click.argument("one")
@click.argument("other")
@click.option(
    "--collection",
    help="Judge as if ONE arrived in it after OTHER, among all its candidates.  [default: the two alone]",
)
@click.option("--ids", is_flag=True, help="ONE and OTHER are ids of items in the collection.")
@json_option
def compare(one: str, other: str, collection: str | None, *, ids: bool, as_json: bool) -> None:
    """Show the verdict on two texts, with its reasons. Nothing is stored.

    \b
    recommender compare "Refund for order 1042" "Refund for order 1043" --collection tickets
    recommender compare T-17 T-4 --ids --collection tickets
    """
    if ids and collection is None:
        raise click.UsageError("--ids needs --collection: ids are unique within one")
    sides = [{"id": side} if ids else side for side in (one, other)]
    with owner_or_state(located(load_settings(), collection or "default")) as ask:
        verdict = ask(Compare, *sides, collection=collection)
    if as_json:
        print_json(verdict)
        return
    _print_verdict(verdict)
    where = "alone" if verdict["view"] == "alone" else f"in the stream of {collection!r}"
    out.print(printable(f"judged {where}"), style="dim")


@click.command()
@click.argument("item_id", metavar="ID")
@collection_option
@json_option
@click.pass_context
def get(context: click.Context, item_id: str, collection: str, *, as_json: bool) -> None:
    """Show the item with this ID and its current verdict. Exit code 1 if it does not exist."""
    with owner_or_state(located(load_settings(), collection)) as ask:
        view = ask(Get, item_id, collection=collection)
    if as_json:
        print_json(view)
    elif view is None:
        out.print(f"no item {item_id!r} in collection {collection!r}")
    else:
        out.print(_shortened(view["text"]))
        if view["compared"] is not None:
            out.print("compared:", _shortened(view["compared"]))
        for cut in view["cuts"]:
            out.print(printable(f"  {cut['rule']}:"), _shortened(cut["passage"]), style="dim")
        _print_verdict(view)
        if view["duplicate_of"]:
            out.print("duplicate of", printable(view["duplicate_of"]))
        out.print(printable(f"group {view['group']}, canonical item {view['canonical_id']}"))
    if view is None:
        point_to_collection(load_settings(), item_id, collection)
        context.exit(1)


def _print_verdict(verdict: dict[str, Any]) -> None:
    band = verdict["band"]
    similarity = "" if verdict["similarity"] is None else f", similarity {verdict['similarity']:.3f}"
    out.print(Text.assemble((band, BAND_STYLES[band]), f", probability {verdict['probability']:.2f}{similarity}"))
    if reasons := why(verdict):
        out.print(printable(f"  {reasons}"))
    for reason in verdict["reasons"]:
        if turned := reason["detail"].get("without"):
            out.print(printable(f"  it would be {turned!r} without: {reason['text']}"), style="dim")


def _marked(text: str, highlights: Sequence[Mapping[str, int]]) -> Text:
    """The part of a text with the first highlights, on one line, the terms of the question in bold."""
    first = highlights[0]["start"] if highlights else 0
    place = 0 if first < _TEXT_SHOWN // 2 else first - _TEXT_SHOWN // 4
    shown = Text("…" if place else "")
    for span in highlights:
        shown.append_text(_one_line(text[place : span["start"]]))
        shown.append_text(Text(_one_line(text[span["start"] : span["end"]]).plain, style="bold"))
        place = span["end"]
        if len(shown) >= _TEXT_SHOWN:
            break
    shown.append_text(_one_line(text[place : place + _TEXT_SHOWN]))
    if place + _TEXT_SHOWN < len(text) or len(shown) > _TEXT_SHOWN:
        shown.truncate(_TEXT_SHOWN, overflow="ellipsis")
    return shown


def _one_line(text: str) -> Text:
    return printable(_SPACE.sub(" ", text))


def _shortened(text: str) -> Text:
    line = " ".join(text.split())
    return printable(line if len(line) <= _TEXT_SHOWN else line[: _TEXT_SHOWN - 1] + "…")
