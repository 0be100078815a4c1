"""``recommender export``."""

from __future__ import annotations

import base64
from typing import Any

import click
import numpy as np

from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.stored import pages
from celery_recommender.cli.locating import located
from celery_recommender.records import RecordFormat, open_writer


@click.command()
@click.argument("collection")
@click.argument("target", metavar="OUT.jsonl", type=click.Path(dir_okay=False))
@click.option("--last", type=click.IntRange(1), help="Only this many newest items.  [default: all]")
@click.option("--vectors", is_flag=True, help="Also write the embeddings, as lists of numbers.")
@json_option
def export(collection: str, target: str, last: int | None, *, vectors: bool, as_json: bool) -> None:
    """Write the items of COLLECTION in order of arrival as JSON Lines, gzipped if the name ends in .gz.

    Each line has `id`, `text` or `fields`, `attributes`, `timestamp`, `version`, `at_ms` (arrival, milliseconds since
    1970), and the current verdict: `band`, `duplicate_of`, `group`. OUT.jsonl appears only when it is complete.

    \b
    recommender export tickets tickets.jsonl.gz
    """
    rows = 0
    with (
        progress_bar() as bar,
        owner_or_state(located(load_settings(), collection)) as ask,
        open_writer(target, (), file_format=RecordFormat.JSONL) as writer,
    ):
        task = bar.add_task("written", total=None)
        for page in pages(ask, collection, last):
            for item in page["items"]:
                writer.write(_line(item, vectors=vectors))
            rows += len(page["items"])
            bar.update(task, completed=rows, total=max(rows, page["total"]))
    if as_json:
        print_json({"out": target, "rows": rows})
    else:
        out.print(printable(f"{rows:,} items written to {target}"))


def _line(item: dict[str, Any], *, vectors: bool) -> dict[str, Any]:
    values = {name: value for name, value in item.items() if value is not None and name not in {"vector", "compared"}}
    if vectors:
        values["vector"] = np.frombuffer(base64.b64decode(item["vector"]), "<f4").tolist()
    return values
