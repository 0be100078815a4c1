"""``recommender evaluate recommendations``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import click

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.data.evaluation_output import in_a_folder
from celery_recommender.cli.data.recommendation_figures import figures
from celery_recommender.cli.data.recommendation_output import show_recommendations
from celery_recommender.cli.input.interaction_files import interaction_field, interaction_rows
from celery_recommender.cli.input.labelled_files import FileRow, read_items
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options, opened, print_notes
from celery_recommender.cli.input.policies import collection_settings, settings_option
from celery_recommender.cli.input.skipped import bad_rows, show_bad
from celery_recommender.cli.input.tally import exit_code
from celery_recommender.records import BadRow, RecordReader, open_records
from celery_recommender.records.interactions import InteractionMapping, resolve_interactions
from celery_recommender.records.values.dates import DateForm, NotADateError
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import RecordedEncoders
from recommender_engine.evaluation.recommendations import History, Interaction, Recorded, truth_of
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.message import Messages

_FILE = click.Path(exists=True, dir_okay=False)


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """A time as the cells of files have it, UTC unless it names an offset; in milliseconds since 1970."""
    if value is None:
        return None
    try:
        moment = DateForm(per_second=1).read(value)
    except NotADateError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None
    if moment is None:
        raise click.BadParameter(f"{value!r}: not a date")
    return round(moment.timestamp() * 1000)


@click.command()
@click.argument("items", type=_FILE)
@click.argument("interactions", type=_FILE)
@click.option(
    "split_ms", "--split", callback=_moment, required=True, metavar="TIME", help="Begin of what is predicted."
)
@click.option(
    "until_ms", "--until", callback=_moment, metavar="TIME", help="Its end, not included.  [default: the last]"
)
@click.option(
    "--min-joint",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Two items belong together from so many common baskets on.",
)
@click.option(
    "--user-share",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Ask for this share of the users, chosen by a hash; all are learned from.",
)
@interaction_field
@mapping_options
@settings_option
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="NAME", help="The embedding model.")
@click.option(
    "--vectors",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=in_a_folder,
    metavar="FILE.npz",
    help="Cache for vectors.",
)
@json_option
@click.pass_context
def recommendations(
    context: click.Context,
    items: str,
    interactions: str,
    given: FileOptions,
    *,
    split_ms: int,
    until_ms: int | None,
    min_joint: int,
    user_share: float,
    named: Mapping[str, str],
    settings: tuple[str, ...],
    model: str,
    vectors: Path | None,
    as_json: bool,
) -> None:
    """Judge recommendations on recorded interactions, beside simple methods.

    ITEMS has the columns `id` and texts, INTERACTIONS `item`, `time`, `user` and/or `session`, and if you like `kind`
    (else `buy`) and `value`. Before the split is what may be known; items are judged by what is used together after
    it, users by each of their next baskets, predicted from all before it and then learned. Nothing at or after the
    split reaches what is learned of items. A basket is what a user does in a session without a pause of an hour.

    \b
    recommender evaluate recommendations items.csv orders.csv --split 2026-07-01
    recommender evaluate recommendations items.csv orders.csv --split 2026-07-01 --until 2026-09-01 --json
    recommender evaluate recommendations items.jsonl clicks.parquet --split 2026-07-01 --min-joint 20 \\
        --interaction-field user=customer --interaction-field session=invoice --vectors vectors.npz
    """
    if until_ms is not None and until_ms <= split_ms:
        raise click.BadParameter("--until is not after --split")
    chosen = collection_settings(given.collection, model, settings)
    with opened(items, given) as (reader, item_mapping):
        print_notes(reader, item_mapping)
        found, bad, tally = read_items(reader, item_mapping, items, given.on_repeat)
    with open_records(interactions, options=given.reading) as reader:
        mapping = resolve_interactions(reader, named, order=given.mapping.date_order)
        for note in mapping.notes:
            err.print(printable(note), style="dim")
        used, bad_interactions = read_interactions(
            reader, mapping, interactions, given.collection, {item.id for item in found}
        )
    bad += bad_interactions
    if not found or not used:
        show_bad(bad, err)
        raise ConfigurationError("there is no item" if not found else "no row is an interaction with one of the items")
    history = History([item.id for item in found], used, split_ms, until_ms, chosen)
    truth = truth_of(history, min_joint=min_joint, user_share=user_share)
    encoders = RecordedEncoders(catalogue(load_settings()), chosen.model, vectors)
    try:
        judged = figures(Recorded(found, history, truth), encoders, chosen, Messages(load_settings().message_rules))
    finally:
        encoders.recorded.save()
    result = {
        "split": _written(split_ms),
        "until": _written(history.until_ms),
        "interactions": {"known": history.known, "truth": len(history.interactions) - history.known},
        "candidates": int(truth.candidates.sum()),
        **judged,
        "read": tally.as_dict(),
        "bad_rows": bad_rows(bad),
    }
    if as_json:
        print_json(result)
    else:
        show_recommendations(result)
        for line in tally.lines():
            out.print(printable(line))
        show_bad(bad)
    context.exit(exit_code(len(used), len(bad)))


def read_interactions(
    reader: RecordReader, mapping: InteractionMapping, file: str, collection: str, ids: set[str]
) -> tuple[list[Interaction], list[FileRow]]:
    """The interactions of a file with known items, and the rows that are none."""
    found: list[Interaction] = []
    bad: list[FileRow] = []
    for row, said, *_ in interaction_rows(reader, mapping, collection):
        if isinstance(said, BadRow):
            bad.append(FileRow(file, said.number, said.error))
        elif said["item"] not in ids:
            bad.append(FileRow(file, row.number, f"column {mapping.columns['item']!r}: not the id of one of the items"))
        else:
            at_ms = round(dt.datetime.fromisoformat(said["time"]).timestamp() * 1000)
            user, session, value = (said.get(name) for name in ("user", "session", "value"))
            found.append(Interaction(said["item"], at_ms, user, session, said["kind"], value))
    return found, bad


def _written(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat(timespec="milliseconds")
