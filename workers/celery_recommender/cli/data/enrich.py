"""``recommender enrich``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import click
from rich.progress import Progress

from celery_recommender.celery.tasks.questions import Get, Outcomes, Recommend
from celery_recommender.cli.asking import Ask, owner_or_state, require_answers, require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.data.themes import themes_of
from celery_recommender.cli.input.checkpoint import Checkpoint, accounted, file_identity, say_where_it_goes_on
from celery_recommender.cli.input.mapping_options import FileOptions, agree, estimated_rows, mapping_options, opened
from celery_recommender.cli.input.sending import OwnerGone, acceptable, rejected, send_rows, upsert, wait_until_decided
from celery_recommender.cli.input.tally import Tally, show
from celery_recommender.cli.locating import located
from celery_recommender.cli.output.event_lines import why
from celery_recommender.client import Client
from celery_recommender.records import BadRow, Dialect, Finding, ItemRow, Items, open_writer, scan_columns
from recommender_engine.errors import ConfigurationError

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
    "novelty",
    "error",
)
"""Columns that OUT has beside those of IN."""

THEME = "theme"
"""The column that ``--themes`` adds."""

_OF_ITEM = [
    name for name in ADDED if name not in ("reason", "similar_ids", "novelty", "error")
]  # as `get` answers them
_Row = tuple[Mapping[str, Any], dict[str, Any]]  # cells of IN, and added cells without the prefix

_COSTS_SOMETHING = (Finding.BAD_DATE, Finding.EMPTY_DATE, Finding.PRICE_AS_TEXT, Finding.CUT_ID)
_BLOCK = 200
_FORWARDED_WITHIN_S, _POLL_S = 30.0, 0.2


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False))
@click.argument("target", metavar="OUT", type=click.Path(dir_okay=False))
@mapping_options
@click.option("--prefix", default="", help="Prefix of the added columns.")
@click.option("--similar", default=5, show_default=True, type=click.IntRange(0, 100), help="Similar items per row.")
@click.option("--themes", is_flag=True, help="Add the column theme: what each row is about, by the whole collection.")
@click.option("--restart", is_flag=True, help="Start from the first row, even after an interrupted run.")
@json_option
@click.pass_context
def enrich(
    context: click.Context,
    source: str,
    target: str,
    given: FileOptions,
    *,
    prefix: str,
    similar: int,
    themes: bool,
    restart: bool,
    as_json: bool,
) -> None:
    """Send every row of IN, and write OUT: IN with the verdicts after the last row.

    Both are CSV, TSV, JSON Lines or Parquet, gzipped or not, by their names; OUT has the dialect of IN. OUT appears
    only when it is complete. After an interruption (Ctrl-C) the same command continues where it stopped. A failed row
    keeps its cells and gets its error.

    \b
    Added columns: band, duplicate_of, group, canonical_id, matched_id, probability, similarity, reason,
    similar_ids, novelty, error; with --themes also theme
    recommender enrich tickets.csv tickets.enriched.csv --text-field subject --text-field body --collection march
    """
    settings = require_server(load_settings())
    require_answers(settings)
    columns = scan_columns(source, given.file_format, options=given.reading)
    added = tuple(prefix + name for name in (*ADDED, *([THEME] if themes else [])))
    if clash := sorted(set(columns) & set(added)):
        raise ConfigurationError(f"{source} has a column {clash[0]!r} already: choose other names with --prefix")
    client = Client(located(settings, given.collection))
    identity = file_identity(source, "enrich", given.identity, settings.home, False)
    checkpoint = Checkpoint(settings.state_dir / "sent", identity, restart=restart)
    say_where_it_goes_on(checkpoint)
    tally = Tally(given.on_repeat)
    with accounted(checkpoint, given.collection, source):
        dialect = _agreed(source, given)
        # Opened first: what cannot be written is said before an hour's work.
        with open_writer(target, columns, added, like=dialect) as writer, progress_bar() as bar:
            _send(client, source, given, checkpoint, tally, bar)
            now = located(settings, given.collection)
            with owner_or_state(now) as ask:
                if now.home != client.home:
                    _wait_for_last(ask, checkpoint, given.collection)
                task = bar.add_task("written", total=tally.rows)
                about = _themes(ask, given.collection) if themes else None
                answers = _Answers(ask, checkpoint, tally, given.collection, similar, about)
                for rows in _enriched(source, given, answers):
                    for cells, added_cells in rows:
                        writer.write({**cells, **{prefix + name: value for name, value in added_cells.items()}})
                    bar.advance(task, len(rows))
    checkpoint.finish()
    client.close()
    if as_json:
        counts = {**tally.as_dict(), "rows": tally.rows, "errors": tally.failed}
        print_json({"out": target, "collection": given.collection, "run": checkpoint.run, **counts})
    else:
        out.print(printable(f"{tally.rows:,} rows written to {target}, {tally.failed:,} with an error"))
        show(tally)
    context.exit(tally.exit_code)


def _agreed(source: str, given: FileOptions) -> Dialect:
    """Show what was guessed, ask on a terminal, and return how the file is written."""
    with opened(source, given) as (reader, mapping):
        agree(reader, mapping, given, from_input=False)
        return reader.dialect


def _send(client: Client, source: str, given: FileOptions, checkpoint: Checkpoint, tally: Tally, bar: Progress) -> None:
    with opened(source, given) as (reader, mapping):
        items = Items(reader, mapping, given.on_repeat, acceptable)
        sending = bar.add_task("sent", total=None)
        for block in send_rows(client, items, checkpoint, tally, upsert):
            bar.update(sending, completed=block.rows, total=estimated_rows(reader, block.rows))
        bar.update(sending, completed=checkpoint.rows, total=checkpoint.rows)
    tally.replaced = items.replaced
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


def _wait_for_last(ask: Ask, checkpoint: Checkpoint, collection: str) -> None:
    """Wait for a collection that was moved meanwhile: its last rows are decided where it is now."""
    deadline_s = time.monotonic() + _FORWARDED_WITHIN_S
    while checkpoint.position is not None and time.monotonic() < deadline_s:
        if ask(Outcomes, [checkpoint.key(checkpoint.last_sent)], collection=collection)[0] is not None:
            return
        time.sleep(_POLL_S)


def _enriched(source: str, given: FileOptions, answers: _Answers) -> Iterator[list[_Row]]:
    """Some rows at a time, each with its verdict or with its error."""
    with opened(source, given) as (reader, mapping):
        items = Items(reader, mapping, given.on_repeat, acceptable)
        while rows := list(islice(items, _BLOCK)):
            yield answers.beside(rows)


def _themes(ask: Ask, collection: str) -> dict[str, str]:
    """The words of the theme of each item that is in one."""
    return {id_: ", ".join(theme.label) for theme in themes_of(ask, collection).themes for id_ in theme.members}


class _Answers:
    """Asks for the verdicts on rows."""

    def __init__(
        self,
        ask: Ask,
        checkpoint: Checkpoint,
        tally: Tally,
        collection: str,
        similar: int,
        about: Mapping[str, str] | None,
    ) -> None:
        self._ask = ask
        self._checkpoint = checkpoint
        self._tally = tally
        self._collection = collection
        self._similar = similar
        self._about = about

    def beside(self, rows: Sequence[ItemRow]) -> list[_Row]:
        """The rows with their verdicts."""
        ids = [one.item["id"] for one in rows if not isinstance(one.item, BadRow)]
        keys = [self._checkpoint.key(one.row.number) for one in rows]
        outcomes = self._ask(Outcomes, keys, collection=self._collection)
        views = dict(zip(ids, self._ask(Get, ids, collection=self._collection), strict=True))
        found = self._ask(Recommend, ids, collection=self._collection, limit=self._similar or 1)
        hits = dict(zip(ids, found, strict=True))
        return [
            self._with_theme(one, self._row(one, outcome, views, hits))
            for one, outcome in zip(rows, outcomes, strict=True)
        ]

    def _with_theme(self, one: ItemRow, row: _Row) -> _Row:
        cells, added = row
        if self._about is not None:
            id_ = None if isinstance(one.item, BadRow) or added["band"] is None else one.item["id"]
            added[THEME] = None if id_ is None else self._about.get(id_)
        return cells, added

    def _row(
        self,
        one: ItemRow,
        outcome: Mapping[str, Any] | None,
        views: Mapping[str, Mapping[str, Any] | None],
        hits: Mapping[str, Sequence[Mapping[str, Any]] | None],
    ) -> _Row:
        if isinstance(one.item, BadRow):
            return _written(one, error=one.item.error)
        if (later := self._tally.replaced.get(one.row.number)) is not None:
            return _written(one, error=f"row {later} has the same id, and has replaced it")
        id_ = one.item["id"]
        if (bad := _error_of(one.row.number, outcome)) is None and views[id_] is None:
            bad = BadRow(one.row.number, "the item was deleted meanwhile", "deleted")
        if bad is not None:
            self._tally.reject(bad)
            return _written(one, error=bad.error)
        similar = [hit["id"] for hit in hits[id_] or []][: self._similar]
        remarks = "; ".join(remark.text for remark in one.remarks if remark.kind in _COSTS_SOMETHING)
        novelty = None if outcome is None else outcome["data"].get("novelty")
        return _written(one, view=views[id_], similar=similar, novelty=novelty, error=remarks or None)


def _error_of(row: int, event: Mapping[str, Any] | None) -> BadRow | None:
    if event is None:
        return BadRow(row, "no outcome is known any more (they are kept for 24 hours)", "outcome_unknown")
    if event["data"].get("erased"):  # an erased event keeps its type only
        return BadRow(row, "erased meanwhile", "erased")
    return rejected(row, event)


def _written(
    one: ItemRow,
    *,
    view: Mapping[str, Any] | None = None,
    similar: Sequence[str] | None = None,
    novelty: float | None = None,
    error: str | None = None,
) -> _Row:
    """The cells of the row, and those that are added: a column of the input may have the name of an added one."""
    added: dict[str, Any] = dict.fromkeys(ADDED)
    if view is not None:
        added |= {name: view[name] for name in _OF_ITEM}
        added |= {"reason": why(view) or None, "similar_ids": similar, "novelty": novelty}
    return one.row.values, added | {"error": error}
