"""``recommender ingest``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from celery_recommender.cli.asking import require_server
from celery_recommender.cli.common import json_option, load_settings
from celery_recommender.cli.input.checkpoint import (
    Checkpoint,
    accounted,
    file_identity,
    run_of_content,
    say_where_it_goes_on,
)
from celery_recommender.cli.input.interaction_files import agree_on_interactions, interaction_options, interaction_rows
from celery_recommender.cli.input.mapping_options import FileOptions, agree, mapping_options, opened
from celery_recommender.cli.input.outcomes import Outcomes
from celery_recommender.cli.input.sending import acceptable, interaction, removal, silent_upsert, upsert
from celery_recommender.cli.input.tally import Tally
from celery_recommender.cli.locating import located
from celery_recommender.cli.remembered import remember
from celery_recommender.client import Client
from celery_recommender.records import Items, open_records
from celery_recommender.records.interactions import resolve_interactions
from celery_recommender.settings import Settings

_RUNS = (("ingest", False), ("ingest", True), ("enrich", False))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@mapping_options
@click.option("--silent", is_flag=True, help="Backfill: change the state, publish only summaries.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until every row is decided.")
@click.option("--restart", is_flag=True, help="Start from the first row, even after an interrupted run.")
@click.option("--take-back", is_flag=True, help="Delete the items of FILE from the collection, by id.")
@click.option("--interactions", is_flag=True, help="The rows are what users did with items.")
@interaction_options
@json_option
@click.pass_context
def ingest(
    context: click.Context,
    file: str,
    given: FileOptions,
    *,
    silent: bool,
    wait: bool,
    restart: bool,
    take_back: bool,
    interactions: bool,
    named: Mapping[str, str],
    kind: str,
    as_json: bool,
) -> None:
    """Send every row of FILE as an item, or with --interactions as an interaction.

    FILE is CSV, TSV, JSON Lines or Parquet, gzipped or not; `-` reads standard input. After an interruption the same
    command continues where it stopped. The guessed columns are shown with three rows before anything is sent; a
    terminal asks for confirmation, elsewhere a doubtful guess ends the command. Rows that are not items are reported
    and skipped. An invalid date is dropped, not its row.

    \b
    recommender ingest tickets.csv --id-field number --text-field subject --text-field body --collection tickets
    recommender ingest catalogue.parquet --attribute price --attribute stock --silent
    zcat dump.jsonl.gz | recommender ingest - --format jsonl
    recommender ingest catalogue.parquet --take-back
    recommender ingest --interactions orders.csv --interaction-field user=buyer --collection products

    With --interactions the columns are `item`, `time`, `user` and/or `session`, and if there are any `kind` and
    `value`, or have usual names such as `sku`, `customer_id`, `order`, `action`, `rating`, `timestamp`. A row that is
    no interaction is reported by its number and skipped. The same file sent again within 24 hours counts once.
    """
    settings = require_server(load_settings())
    if interactions:
        if silent or take_back:
            raise click.UsageError("--silent and --take-back are about items, not about --interactions")
        tally = _ingest_interactions(file, given, settings, named, kind, wait=wait, restart=restart, as_json=as_json)
        context.exit(tally.exit_code)
    client = Client(located(settings, given.collection))
    checkpoint = _checkpoint(file, given, settings, silent=silent, take_back=take_back, restart=restart)
    say_where_it_goes_on(checkpoint)
    tally = Tally(given.on_repeat)
    summary = Outcomes(client, checkpoint, tally)
    command = removal if take_back else silent_upsert if silent else upsert
    with accounted(checkpoint, given.collection, file), opened(file, given) as (reader, mapping):
        agree(reader, mapping, given, from_input=file == "-")
        summary.send(reader, Items(reader, mapping, given.on_repeat, acceptable), command, wait=wait)
    checkpoint.finish()
    if take_back:
        _forget(file, given, settings)
    client.close()
    remember(settings, given.collection)
    summary.print(given.collection, as_json=as_json)
    context.exit(tally.exit_code)


def _ingest_interactions(
    file: str,
    given: FileOptions,
    settings: Settings,
    named: Mapping[str, str],
    kind: str,
    *,
    wait: bool,
    restart: bool,
    as_json: bool,
) -> Tally:
    client = Client(located(settings, given.collection))
    if file == "-":
        checkpoint = Checkpoint(None, "", restart=True)
    else:
        options = given.identity, tuple(sorted(named.items())), kind
        identity = file_identity(file, "interactions", options, settings.home)
        run = run_of_content(file, options)
        checkpoint = Checkpoint(settings.state_dir / "sent", identity, restart=restart, run=run)
    say_where_it_goes_on(checkpoint)
    tally = Tally(noun="interaction")
    summary = Outcomes(client, checkpoint, tally)
    with (
        accounted(checkpoint, given.collection, file, tally.noun),
        open_records(file, given.file_format, options=given.reading) as reader,
    ):
        mapping = resolve_interactions(reader, named, order=given.mapping.date_order, kind=kind)
        agree_on_interactions(reader, mapping, given, from_input=file == "-")
        summary.send(reader, interaction_rows(reader, mapping, given.collection), interaction, wait=wait)
    checkpoint.finish()
    client.close()
    summary.print(given.collection, as_json=as_json)
    return tally


def _checkpoint(
    file: str, given: FileOptions, settings: Settings, *, silent: bool, take_back: bool, restart: bool
) -> Checkpoint:
    if file == "-":
        return Checkpoint(None, "", restart=True)
    identity = file_identity(file, "take back" if take_back else "ingest", given.identity, settings.home, silent)
    return Checkpoint(settings.state_dir / "sent", identity, restart=restart)


def _forget(file: str, given: FileOptions, settings: Settings) -> None:
    """Forget what was sent of a file that is taken back: the next run begins with the first row."""
    for command, silent in _RUNS if file != "-" else ():
        identity = file_identity(file, command, given.identity, settings.home, silent)
        Checkpoint(settings.state_dir / "sent", identity, restart=True).finish()
