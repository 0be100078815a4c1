"""``recommender configure``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from celery_recommender.cli.asking import require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.policies import checked, read_policies, settings_of
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.client import Client
from recommender_engine.items import CommandRejected


@click.command()
@click.argument("collection", required=False)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file: a table for each collection, or flat for COLLECTION.",
)
@json_option
@click.pass_context
def configure(
    context: click.Context, collection: str | None, settings: tuple[str, ...], file: Path | None, *, as_json: bool
) -> None:
    """Set the settings of COLLECTION; keys left out take their defaults.

    They are checked before anything is sent, and apply to commands that come later in the stream. To see what they
    would change: `recommender tune`. Exit code 1 when they are rejected.

    \b
    recommender configure tickets target_precision=0.97 equal=requester,product only.status=open,new
    recommender configure products index=hnsw recommendations=20
    recommender configure --file policy.toml
    recommender configure tickets --file policy.toml
    """
    policies = _policies(collection, settings, file)
    for name, wanted in policies.items():
        checked(name, wanted)
    client = Client(require_server(load_settings()))
    positions = [client.configure(name, wanted) for name, wanted in policies.items()]
    outcomes = [outcome_of(client, position) for position in positions]
    client.close()
    if as_json:
        print_json([event["data"] for event in outcomes] if collection is None else outcomes[0]["data"])
    else:
        for event in outcomes:
            _show(event, named=len(outcomes) > 1)
    context.exit(1 if any(event["type"] == CommandRejected.type for event in outcomes) else 0)


def _policies(collection: str | None, words: tuple[str, ...], file: Path | None) -> dict[str, dict[str, Any]]:
    if file is not None:
        if words:
            raise click.UsageError("give the settings as KEY=VALUE or with --file, not both")
        return read_policies(file, collection)
    if collection is None:
        raise click.UsageError("name a COLLECTION, or give --file")
    return {collection: settings_of(words)}


def _show(event: dict[str, Any], *, named: bool) -> None:
    data = event["data"]
    if event["type"] == CommandRejected.type:
        out.print(printable(f"rejected: {data['message']}"))
        return
    if named:
        out.print(printable(f"[{data['collection']}]"))
    for key, value in data["settings"].items():
        out.print(printable(f"{key} = {json.dumps(value, ensure_ascii=False)}"))
