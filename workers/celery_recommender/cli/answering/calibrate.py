"""``recommender calibrate``: asks for the answers that measure a stated precision."""

from __future__ import annotations

from typing import Any

import click

from celery_recommender.celery.tasks.questions import MOST_ASKED
from celery_recommender.cli.answering.interview import Interview, proposed
from celery_recommender.cli.answering.labels import COLUMNS, read_labels
from celery_recommender.cli.asking import Ask, owner_at_work, owner_or_state, require_server
from celery_recommender.cli.common import counted, err, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.tally import exit_code
from celery_recommender.cli.locating import located
from celery_recommender.cli.output.measured import KINDS, told_of_closed, verdict_in_words
from celery_recommender.client import Client
from celery_recommender.records import open_writer


@click.command()
@click.argument("collection")
@click.option("--limit", type=click.IntRange(1), help="Number of answers.  [default: until the band opens]")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Kind of text.  [default: the closed one with most pairs]")
@click.option("--by", metavar="NAME", help="Person who answers.")
@click.option(
    "--export",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the pairs to a CSV, JSONL or Parquet file, to be answered elsewhere.",
)
@click.option(
    "--import",
    "source",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Read answers from such a file: same or different, yes or no, 1 or 0, or empty.",
)
@json_option
@click.pass_context
def calibrate(
    context: click.Context,
    collection: str,
    limit: int | None,
    kind: str | None,
    by: str | None,
    target: str | None,
    source: str | None,
    *,
    as_json: bool,
) -> None:
    """Answer the pairs that measure a precision in COLLECTION, until the band `duplicate` opens.

    Until the `target_precision` of a collection is measured, the band is closed: repeats are in `review`, whatever
    their probability. At 0.9 it takes at least 22 answers, at 0.95 at least 35, more where some pairs are different.
    `recommender stats` lists closed bands.

    Two texts are shown side by side, as they are compared, with the differences marked. The pairs are an even sample
    of what the band would flag, from the likeliest downwards, so the measured precision is unbiased. No pair comes
    twice, and answers are kept: stop and continue at any time. Answers are commands like those of
    `recommender feedback`; a worker has to run.

    \b
    y  the same thing      s  skip, ask another time      q  quit
    n  different things    u  undo the last answer

    Without --limit it ends when the band is open, or when the answers show that the precision is out of reach. With
    --limit it continues down the list, which widens the band.

    \b
    recommender calibrate tickets --by jo
    recommender calibrate tickets --limit 100
    recommender calibrate tickets --limit 200 --export pairs.csv    # fill in the column `answer`, then
    recommender calibrate tickets --import pairs.csv --by jo
    """
    if target is not None and source is not None:
        raise click.UsageError("--export and --import are two steps: one at a time")
    settings = located(load_settings(), collection)
    if target is not None:
        with owner_or_state(settings) as ask:
            _export(ask, collection, kind, limit or MOST_ASKED, target, as_json=as_json)
        return
    client = Client(located(require_server(load_settings()), collection))
    try:
        ask = owner_at_work(settings)
        if source is not None:
            context.exit(_import(ask, client, collection, source, by, as_json=as_json))
        interview = Interview(ask, client, collection, kind, by, err if as_json else out)
        result = interview.hold(limit)
    finally:
        client.close()
    if as_json:
        print_json(result)


def _export(ask: Ask, collection: str, kind: str | None, limit: int, target: str, *, as_json: bool) -> None:
    found = proposed(ask, collection, kind, min(limit, MOST_ASKED))
    with open_writer(target, COLUMNS, ()) as writer:
        for pair in found["pairs"]:
            writer.write({"answer": None, **pair})
    if as_json:
        print_json({"out": target, "rows": len(found["pairs"]), **_current(found)})
        return
    most = f" (no more than {MOST_ASKED} at a time)" if limit > MOST_ASKED else ""
    message = f"{counted(len(found['pairs']), 'pair')} written to {target}{most}: fill in `answer` (same or different)"
    out.print(printable(message))
    if found["promise"] is not None:
        out.print(verdict_in_words(found))


def _import(ask: Ask, client: Client, collection: str, source: str, by: str | None, *, as_json: bool) -> int:
    proposed(ask, collection, None, 1)  # before anything is sent: whether there is anything to measure
    taken = read_labels(client, collection, source, by)
    found = proposed(ask, collection, None, 1)
    if as_json:
        print_json({**taken.as_dict(), **_current(found)})
    else:
        for line in taken.lines():
            out.print(printable(line))
        closed = _closed(found)
        message = f"closed: not yet measured: {told_of_closed(closed)}"
        out.print(message if closed else "the target precision is measured for every kind of text in streams")
    return exit_code(taken.accepted, taken.failed)


def _current(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "pairs"}


def _closed(found: dict[str, Any]) -> list[dict[str, Any]]:
    about = [] if found["promise"] is None or found["promise"]["measured"] else [found["promise"]]
    return [*about, *found["closed"]]
