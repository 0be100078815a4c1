"""``recommender watch``."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from recommender.items import EntryId
from workers.cli.common import BAND_STYLES, json_text, load_settings, out, printable
from workers.client import Client


@click.command()
@click.option("--from-start", is_flag=True, help="Begin with the oldest event that is still in the stream.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
def watch(*, from_start: bool, as_json: bool) -> None:
    """Follow the events stream, one line an event, until Ctrl-C."""
    client = Client(load_settings())
    start = EntryId(0, 0) if from_start else client.last_event()
    for event in client.events(start):
        if as_json:
            click.echo(json_text(event))
        else:
            out.print(event_line(event))


def event_line(event: dict[str, Any]) -> Text:
    """One event in one line."""
    data = event["data"]
    kind = event["type"].removeprefix("recommender.").removesuffix(".v1")
    if kind == "item.processed":
        return _processed_line(data)
    line = Text(f"{kind:20} ", style="magenta")
    said = {name: value for name, value in data.items() if name not in ("command", "payload", "settings", "attributes")}
    return line.append_text(_said(" ".join(f"{name}={value}" for name, value in said.items())))


def _processed_line(data: dict[str, Any]) -> Text:
    line = Text(f"{data['band']:10} ", style=BAND_STYLES[data["band"]])
    line.append(printable(data["item_id"]).plain, style="bold")
    if data["duplicate_of"]:
        line.append_text(_said(f" is {data['duplicate_of']} again"))
    elif data["band"] == "review":
        line.append_text(_said(f" may be {data['matched_id']}"))
    if data["reasons"]:
        line.append_text(_said(f": {data['reasons'][0]['text']}"))
    elif data["recommendations"]:
        similar = ", ".join(one["id"] for one in data["recommendations"][:3])
        line.append_text(_said(f" similar to {similar}"))
    return line


def _said(text: str) -> Text:
    shown = printable(text)
    shown.stylize("default")
    return shown
