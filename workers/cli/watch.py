"""``recommender watch``."""

from __future__ import annotations

import click

from recommender.items import EntryId
from workers.cli.common import json_text, load_settings, out
from workers.cli.event_lines import event_line, laid_out
from workers.client import Client


@click.command()
@click.option("--from-start", is_flag=True, help="Begin with the oldest event that is still in the stream.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
def watch(*, from_start: bool, as_json: bool) -> None:
    """Follow the events stream until Ctrl-C, one line an event: verdicts, revised verdicts, groups, feedback."""
    client = Client(load_settings())
    start = EntryId(0, 0) if from_start else client.last_event()
    for event in client.events(start):
        if as_json:
            click.echo(json_text(event))
        else:
            out.print(laid_out(event_line(event), out))
