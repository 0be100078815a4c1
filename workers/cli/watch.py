"""``recommender watch``."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.text import Text

from recommender.items import EntryId
from workers.cli.common import BAND_STYLES, load_settings, out
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
            click.echo(json.dumps(event, ensure_ascii=False))
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
    line.append(" ".join(f"{name}={_printable(value)}" for name, value in said.items()), style="default")
    return line


def _processed_line(data: dict[str, Any]) -> Text:
    line = Text(f"{data['band']:10} ", style=BAND_STYLES[data["band"]])
    line.append(_printable(data["item_id"]), style="bold")
    if data["duplicate_of"]:
        line.append(f" is {_printable(data['duplicate_of'])} again", style="default")
    elif data["band"] == "review":
        line.append(f" may be {_printable(data['matched_id'])}", style="default")
    if data["reasons"]:
        line.append(f": {_printable(data['reasons'][0]['text'])}", style="default")
    elif data["recommendations"]:
        similar = ", ".join(_printable(one["id"]) for one in data["recommendations"][:3])
        line.append(f" similar to {similar}", style="default")
    return line


def _printable(value: object) -> str:
    return "".join(character if character.isprintable() else "·" for character in str(value))
