"""``recommender enrich``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import click
from rich.progress import Progress

from recommender.errors import ConfigurationError
from workers.celery.questions import Get, Outcomes, Recommend
from workers.cli.asking import Ask, owner_or_state, require_answers, require_server
from workers.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from workers.cli.event_lines import why
from workers.cli.locating import located
from workers.cli.mapping_options import estimated_rows, mapping_options, opened, print_notes
from workers.cli.sending import Checkpoint, OwnerGone, file_identity, resumable, send_rows, wait_until_decided
from workers.client import Client
from workers.records import BadRow, ItemMapping, MappingOptions, RecordFormat, Row, open_writer, scan_columns

ADDED = (
    "band",
    "duplicate_of",
    "group",
    "canonical_id",
    "matched_id",
    "probability",
    "similarity",
    "reason",
    "similar_ids",
    "error",
)
"""Columns that OUT has beside those of IN."""

_BLOCK = 200
_FORWARDED_WITHIN_S, _POLL_S = 30.0, 0.2


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False))
@click.argument("target", metavar="OUT", type=click.Path(dir_okay=False))
@mapping_options
@click.option("--prefix", default="", help="Put before the names of the added columns.")
@click.option("--similar", default=5, show_default=True, type=click.IntRange(0, 100), help="Similar items per row.")
@click.option("--restart", is_flag=True, help="Send from the first row, even if an earlier run got further.")
@json_option
def enrich(
    source: str,
    target: str,
    mapping: MappingOptions,
    file_format: RecordFormat | None,
    *,
    prefix: str,
    similar: int,
    restart: bool,
    as_json: bool,
) -> None:
    """Send every row of IN through the queue, and write OUT: IN with the verdicts as they stand after the last row.

    Both are CSV, TSV, JSON Lines or Parquet, gzipped or not, by their names. OUT appears when it is whole. A run that
    is interrupted (Ctrl-C) goes on where it stopped when the same command is given again.

    \b
    Added columns: band, duplicate_of, group, canonical_id, matched_id, probability, similarity, reason,
    similar_ids, error
    recommender enrich tickets.csv tickets.enriched.csv --text-field subject --text-field body --collection march
    """
    settings = require_server(load_settings())
    require_answers(settings)
    columns = scan_columns(source, file_format)
    added = tuple(prefix + name for name in ADDED)
    if clash := sorted(set(columns) & set(added)):
        raise ConfigurationError(f"{source} has a column {clash[0]!r} already: choose other names with --prefix")
    client = Client(located(settings, mapping.collection or "default"))
    identity = file_identity(source, "enrich", mapping, settings.home)
    checkpoint = Checkpoint(settings.state_dir / "sent", identity, restart=restart)
    if checkpoint.rows:
        err.print(f"going on after row {checkpoint.rows:,} (--restart sends all again)")
    counts = {"rows": 0, "errors": 0}
    # Opened first: what cannot be written is said before an hour's work.
    with resumable(), open_writer(target, columns, added) as writer, progress_bar() as bar:
        _send(client, source, mapping, file_format, checkpoint, bar)
        now = located(settings, mapping.collection or "default")
        with (
            owner_or_state(now) as ask,
            opened(source, mapping, file_format) as (reader, item_mapping),
        ):
            if now.home != client.home:
                _wait_for_last(ask, checkpoint)
            task = bar.add_task("written", total=checkpoint.rows)
            for rows in _blocks(reader):
                for values in _enriched(rows, item_mapping, checkpoint, ask, similar):
                    counts["rows"] += 1
                    counts["errors"] += values["error"] is not None
                    writer.write({prefix + key if key in ADDED else key: value for key, value in values.items()})
                bar.advance(task, len(rows))
    checkpoint.finish()
    client.close()
    if as_json:
        print_json({"out": target, **counts})
    else:
        out.print(printable(f"{counts['rows']:,} rows written to {target}, {counts['errors']:,} with an error"))


def _send(
    client: Client,
    source: str,
    mapping: MappingOptions,
    file_format: RecordFormat | None,
    checkpoint: Checkpoint,
    bar: Progress,
) -> None:
    with opened(source, mapping, file_format, start_after=checkpoint.rows) as (reader, item_mapping):
        print_notes(item_mapping)
        sending = bar.add_task("sent", total=None)
        for block in send_rows(client, reader, item_mapping, checkpoint, silent=False):
            bar.update(sending, completed=block.rows, total=estimated_rows(reader, block.rows))
        bar.update(sending, completed=checkpoint.rows, total=checkpoint.rows)
    if checkpoint.position is None:
        return
    deciding = bar.add_task("decided", total=checkpoint.rows)
    try:
        for waiting in wait_until_decided(client, checkpoint.position):
            bar.update(deciding, completed=max(0, checkpoint.rows - waiting))
    except OwnerGone:
        raise click.ClickException(
            "no worker is running: start one with `recommender worker`, then give the same command again"
        ) from None
    bar.update(deciding, completed=checkpoint.rows)


def _wait_for_last(ask: Ask, checkpoint: Checkpoint) -> None:
    """Wait for a collection that was moved meanwhile: its last rows are decided where it is now."""
    deadline_s = time.monotonic() + _FORWARDED_WITHIN_S
    while checkpoint.position is not None and time.monotonic() < deadline_s:
        if ask(Outcomes, [checkpoint.key(checkpoint.last_sent)])[0] is not None:
            return
        time.sleep(_POLL_S)


def _blocks(rows: Iterator[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    while block := list(islice(rows, _BLOCK)):
        yield block


def _enriched(
    rows: Sequence[Row | BadRow], mapping: ItemMapping, checkpoint: Checkpoint, ask: Ask, similar: int
) -> Iterator[dict[str, Any]]:
    """Each row with its verdict, or with its error."""
    items = [mapping.item(row) if isinstance(row, Row) else row for row in rows]
    ids = [item["id"] for item in items if not isinstance(item, BadRow)]
    outcomes = ask(Outcomes, [checkpoint.key(row.number) for row in rows])
    views = dict(zip(ids, ask(Get, ids, collection=mapping.collection), strict=True))
    hits = dict(zip(ids, ask(Recommend, ids, collection=mapping.collection, limit=similar or 1), strict=True))
    for row, item, outcome in zip(rows, items, outcomes, strict=True):
        if isinstance(item, BadRow):
            yield _row(row, error=item.error)
        elif (error := _error_of(outcome)) is not None:
            yield _row(row, error=error)
        elif (view := views[item["id"]]) is None:
            yield _row(row, error="the item was deleted meanwhile")
        else:
            yield _row(row, view=view, similar=[hit["id"] for hit in hits[item["id"]] or []][:similar])


def _error_of(event: Mapping[str, Any] | None) -> str | None:
    if event is None:
        return "no outcome is known any more (they are kept for 24 hours)"
    data = event["data"]
    if data.get("erased"):  # the event keeps its type, and nothing else
        return "erased meanwhile"
    if event["type"] == "recommender.command.rejected.v1":
        return f"{data['code']}: {data['message']}"
    return None


def _row(
    row: Row | BadRow,
    *,
    view: Mapping[str, Any] | None = None,
    similar: Sequence[str] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    values = dict(row.values) if isinstance(row, Row) else {}
    verdict = {name: None if view is None else view.get(name) for name in ADDED}
    if view is not None:
        verdict["reason"] = why(view) or None
        verdict["similar_ids"] = similar
    return {**values, **verdict, "error": error}
