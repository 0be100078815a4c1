"""``recommender enrich``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import ClassVar

import click
from rich.progress import Progress

from celery_recommender.celery.tasks.questions import Outcomes
from celery_recommender.cli.asking import Ask, ask_here, owner_or_state, require_answers, require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.data.themes import themes_of
from celery_recommender.cli.input.checkpoint import Checkpoint, accounted, file_identity, say_where_it_goes_on
from celery_recommender.cli.input.mapping_options import FileOptions, agree, estimated_rows, mapping_options, opened
from celery_recommender.cli.input.policies import settings_of, settings_option
from celery_recommender.cli.input.sending import OwnerGone, acceptable, send_rows, upsert, wait_until_decided
from celery_recommender.cli.input.stored import changed_settings, gathered
from celery_recommender.cli.input.tally import Tally, show
from celery_recommender.cli.locating import located
from celery_recommender.cli.remembered import remember
from celery_recommender.client import Client
from celery_recommender.frames.columns import ADDED
from celery_recommender.frames.verdicts import RowVerdicts, VerdictRow
from celery_recommender.records import Dialect, Items, open_writer, scan_columns
from celery_recommender.replaying import commands, replayed
from recommender_engine.errors import ConfigurationError

THEME = "theme"
"""The column that ``--themes`` adds."""

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
@click.option("--again", is_flag=True, help="Send nothing: write the verdicts of rows that have been sent before.")
@settings_option
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
    again: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Send every row of IN, and write OUT: IN with the verdicts after the last row.

    Both are CSV, TSV, JSON Lines or Parquet, gzipped or not, by their names; OUT has the dialect of IN. OUT appears
    only when it is complete. After an interruption (Ctrl-C) the same command continues where it stopped. A failed row
    keeps its cells and gets its error.

    With --again nothing is sent or embedded: OUT gets the verdicts that hold now, or with --collection-settings those
    that other settings would give, which are not stored.

    \b
    Added columns: band, duplicate_of, group, canonical_id, matched_id, probability, similarity, reason,
    similar_ids, novelty, error; with --themes also theme
    recommender enrich tickets.csv tickets.enriched.csv --text-field subject --text-field body --collection march
    recommender enrich tickets.csv at-90.csv --collection march --again --collection-settings target_precision=0.9
    """
    if settings and not again:
        raise click.UsageError("--collection-settings goes with --again; `recommender configure` changes a collection")
    columns = scan_columns(source, given.file_format, options=given.reading)
    added = tuple(prefix + name for name in (*ADDED, *([THEME] if themes else [])))
    if clash := sorted(set(columns) & set(added)):
        raise ConfigurationError(f"{source} has a column {clash[0]!r} already: choose other names with --prefix")
    tally = Tally(given.on_repeat)
    run = _Again(source, given, tally, settings) if again else _Sent(source, given, tally, restart=restart)
    with run.accounted():
        dialect = _agreed(source, given)
        # Opened first: what cannot be written is said before an hour's work.
        with (
            open_writer(target, columns, added, like=dialect) as writer,
            progress_bar() as bar,
            run.asking(bar) as ask,
        ):
            task = bar.add_task("written", total=tally.rows)
            about = _themes(ask, given.collection) if themes else None
            answers = RowVerdicts(ask, given.collection, run.key, tally.replaced, similar)
            for rows in _enriched(source, given, answers, tally, about):
                for row in rows:
                    writer.write({**row.cells, **{prefix + name: value for name, value in row.added.items()}})
                bar.advance(task, len(rows))
    run.finish()
    remember(load_settings(), given.collection)
    if as_json:
        counts = {**tally.as_dict(), "rows": tally.rows, "errors": tally.failed}
        print_json({"out": target, "collection": given.collection, **run.named, **counts})
    else:
        out.print(printable(f"{tally.rows:,} rows written to {target}, {tally.failed:,} with an error"))
        show(tally)
    context.exit(tally.exit_code)


class _Sent:
    """Rows are sent, and asked for once they are decided."""

    def __init__(self, source: str, given: FileOptions, tally: Tally, *, restart: bool) -> None:
        self._settings = settings = require_server(load_settings())
        require_answers(settings)
        self._source, self._given, self._tally = source, given, tally
        self._client = Client(located(settings, given.collection))
        identity = file_identity(source, "enrich", given.identity, settings.home, False)
        self._checkpoint = Checkpoint(settings.state_dir / "sent", identity, restart=restart)
        say_where_it_goes_on(self._checkpoint)

    @property
    def named(self) -> dict[str, str]:
        """What tells this run apart from others."""
        return {"run": self._checkpoint.run}

    def accounted(self) -> AbstractContextManager[None]:
        """A failure says what has been sent."""
        return accounted(self._checkpoint, self._given.collection, self._source)

    def key(self, row: int) -> str:
        """The key of the command of a row."""
        return self._checkpoint.key(row)

    @contextmanager
    def asking(self, bar: Progress) -> Iterator[Ask]:
        """Send, wait, and ask where the collection is then."""
        _send(self._client, self._source, self._given, self._checkpoint, self._tally, bar)
        now = located(self._settings, self._given.collection)
        with owner_or_state(now) as ask:
            if now.home != self._client.home:
                _wait_for_last(ask, self._checkpoint, self._given.collection)
            yield ask

    def finish(self) -> None:
        """The next run of this file begins anew."""
        self._checkpoint.finish()
        self._client.close()


class _Again:
    """Rows were sent before: they are asked for as they stand, or as other settings would have them."""

    named: ClassVar[dict[str, str]] = {}
    key = None

    def __init__(self, source: str, given: FileOptions, tally: Tally, changes: Sequence[str]) -> None:
        self._source, self._given, self._tally = source, given, tally
        self._changes = settings_of(changes)

    def accounted(self) -> AbstractContextManager[None]:
        """Nothing is sent."""
        return nullcontext()

    @contextmanager
    def asking(self, bar: Progress) -> Iterator[Ask]:
        """Ask the owner or the state, or a replay of what they hold."""
        with opened(self._source, self._given) as (reader, mapping):
            items = Items(reader, mapping, self._given.on_repeat, acceptable)
            for one in items:
                self._tally.add(one)
            self._tally.replaced = items.replaced
        settings = load_settings()
        with owner_or_state(located(settings, self._given.collection)) as ask:
            if not self._changes:
                yield ask
                return
            task = bar.add_task("fetched", total=None)
            seen = gathered(
                ask, self._given.collection, None, lambda count, total: bar.update(task, advance=count, total=total)
            )
        task = bar.add_task("decided", total=commands(seen))
        wanted = changed_settings(seen, self._changes)
        with replayed(seen, wanted, partial(bar.advance, task), settings.message_rules) as (engine, _):
            yield lambda question, *args, **kwargs: ask_here(engine, question, args, kwargs)

    def finish(self) -> None:
        """Nothing is left."""


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


def _enriched(
    source: str, given: FileOptions, answers: RowVerdicts, tally: Tally, about: Mapping[str, str] | None
) -> Iterator[list[VerdictRow]]:
    """Some rows at a time, each with its verdict or with its error."""
    with opened(source, given) as (reader, mapping):
        items = Items(reader, mapping, given.on_repeat, acceptable)
        while rows := list(islice(items, _BLOCK)):
            found = answers.beside(rows)
            for one in found:
                if one.rejected is not None:
                    tally.reject(one.rejected)
                if about is not None:
                    one.added[THEME] = None if one.item_id is None else about.get(one.item_id)
            yield found


def _themes(ask: Ask, collection: str) -> dict[str, str]:
    """The words of the theme of each item that is in one."""
    return {id_: ", ".join(theme.label) for theme in themes_of(ask, collection).themes for id_ in theme.members}
