"""``recommender watch``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from celery_recommender.celery.tasks.questions import Events
from celery_recommender.cli.asking import owner_or_state, require_server
from celery_recommender.cli.common import err, json_text, load_settings, out
from celery_recommender.cli.locating import every_partition
from celery_recommender.cli.output.event_lines import event_line, laid_out
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import START, EntryId


@click.command()
@click.option("--from-start", is_flag=True, help="Begin with the oldest event in the stream.")
@click.option(
    "--from",
    "after",
    metavar="ID",
    help="Begin after this event; trimmed events come from the store, for RECOMMENDER_OUTBOX_HOURS.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
def watch(*, from_start: bool, after: str | None, as_json: bool) -> None:
    """Follow the events of all partitions until Ctrl-C, one line each.

    A consumer that has missed trimmed events gets them again with `--from` and the id of its last event; 0-0 gives all
    that are kept.
    """
    if from_start and after is not None:
        raise click.UsageError("give --from-start or --from, not both")
    settings = require_server(load_settings())
    client = Client(settings)
    start = dict.fromkeys(settings.all_partitions, START) if from_start else client.last_events()
    if after is not None:
        for one in every_partition(settings):
            start[one.partition] = _entry_id(after)
            for event in _stored(one, start[one.partition]):
                _show(event, as_json=as_json)
                start[one.partition] = EntryId.parse(event["id"])
    for event in client.events(start):
        _show(event, as_json=as_json)


def _stored(settings: Settings, after: EntryId) -> Iterator[dict[str, Any]]:
    """Events of the store behind ``after``."""
    with owner_or_state(settings) as ask:
        next_: str | None = str(after)
        first = True
        while next_ is not None:
            page = ask(Events, after=next_)
            if first and page["oldest"] is not None and EntryId.parse(page["oldest"]) > after > EntryId(0, 0):
                err.print(f"what came between {after} and {page['oldest']} is kept no longer, if there was anything")
            first, next_ = False, page["next"]
            yield from page["events"]


def _show(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(event))
    else:
        out.print(laid_out(event_line(event), out))


def _entry_id(text: str) -> EntryId:
    try:
        return EntryId.parse(text)
    except ValueError as error:
        raise click.UsageError(f"--from {text!r} is not the id of an event, like 1764000000096-0") from error
