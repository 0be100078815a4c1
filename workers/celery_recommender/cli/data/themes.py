"""``recommender themes``, and the themes of a collection for other commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from celery_recommender.cli.asking import Ask, owner_or_state
from celery_recommender.cli.common import (
    json_option,
    load_settings,
    out,
    print_json,
    printable,
    progress_bar,
)
from celery_recommender.cli.input.stored import pages
from celery_recommender.cli.locating import located

if TYPE_CHECKING:
    from recommender_engine.themes import ThemeItem, Themes

MOST_ITEMS = 100_000
_LEAST_MEMBERS, _MOST_MEMBERS = 5, 1_000
_TEXT_SHOWN = 60
_SHOWN = 30


@click.command()
@click.argument("collection")
@click.option("--last", type=click.IntRange(1, MOST_ITEMS), help="Only this many newest items.  [default: 100,000]")
@click.option(
    "--least",
    default=_LEAST_MEMBERS,
    show_default=True,
    type=click.IntRange(2, _MOST_MEMBERS),
    help="Items of a theme at least.",
)
@click.option("--members", is_flag=True, help="With --json: the ids of all items of each theme.")
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Draw a bar for each of the 40 largest themes (png, svg, pdf).",
)
@json_option
def themes(
    collection: str, last: int | None, least: int, *, members: bool, picture: Path | None, as_json: bool
) -> None:
    """Show what the items of COLLECTION are about: words, number of items, examples.

    The items are read page by page, and the themes found in this process: a worker decides meanwhile. The same items
    give the same themes.

    \b
    recommender themes tickets
    recommender themes tickets --last 5000 --plot themes.png
    """
    if picture is not None:
        from recommender_engine.evaluation import require_plots
        from recommender_engine.evaluation.theme_plots import plot_themes

        require_plots()
    with owner_or_state(located(load_settings(), collection)) as ask:
        found = themes_of(ask, collection, last or MOST_ITEMS, least)
    if picture is not None:
        plot_themes(picture, f"Themes of {collection}", found)
    if as_json:
        hidden = None if members else {"themes": {"__all__": {"members"}}}
        print_json({"collection": collection, **found.model_dump(mode="json", exclude=hidden)})
        return
    table = Table(box=None, pad_edge=False, show_header=bool(found.themes))
    for heading in ("items", "theme", "example"):
        table.add_column(heading, justify="right" if heading == "items" else "left")
    for theme in found.themes[:_SHOWN]:
        example = " ".join(theme.representatives[0].text.split())
        shown = example if len(example) <= _TEXT_SHOWN else example[: _TEXT_SHOWN - 1] + "…"
        table.add_row(f"{theme.size:,}", printable(", ".join(theme.label)), printable(shown))
    out.print(table if found.themes else f"no themes in collection {collection!r}")
    if (rest := len(found.themes) - _SHOWN) > 0:
        out.print(f"and {rest:,} smaller themes: see --json")
    out.print(f"{found.covered:,} of {found.items:,} items are in a theme", style="dim")


def themes_of(ask: Ask, collection: str, last: int = MOST_ITEMS, least: int = _LEAST_MEMBERS) -> Themes:
    """The themes of the newest items of a collection.

    Raises:
        ClickException: there is no such collection.
    """
    from recommender_engine.themes import find_themes

    with progress_bar() as bar:
        task = bar.add_task("read", total=None)

        def items() -> Iterator[ThemeItem]:
            from recommender_engine.themes import theme_item

            rows = 0
            for page in pages(ask, collection, last):
                for item in page["items"]:
                    yield theme_item(item["id"], item["compared"] or item["text"], item["fields"], item["vector"])
                rows += len(page["items"])
                bar.update(task, completed=rows, total=max(rows, page["total"]))

        return find_themes(items(), least)
