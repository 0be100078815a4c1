"""``recommender configure``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from celery_recommender.cli.asking import require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.policies import checked, read_policies, settings_of, with_words, words_option
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
@words_option
@json_option
@click.pass_context
def configure(
    context: click.Context,
    collection: str | None,
    settings: tuple[str, ...],
    file: Path | None,
    word_files: tuple[Path, ...],
    *,
    as_json: bool,
) -> None:
    """Set the settings of COLLECTION; keys left out take their defaults.

    They are checked before anything is sent, and apply to commands that come later in the stream. To see what they
    would change: `recommender tune`. Exit code 1 when they are rejected.

    \b
    recommender configure tickets target_precision=0.97 equal=requester,product only.status=open,new
    recommender configure products index=hnsw recommendations=20
    recommender configure --file policy.toml
    recommender configure tickets --file policy.toml
    recommender configure products --words ours.toml
    """
    policies = _policies(collection, settings, file, word_files)
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


def _policies(
    collection: str | None, pairs: tuple[str, ...], file: Path | None, word_files: Sequence[Path]
) -> dict[str, dict[str, Any]]:
    if file is not None and pairs:
        raise click.UsageError("give the settings as KEY=VALUE or with --file, not both")
    if collection is None and (file is None or word_files):
        raise click.UsageError("name a COLLECTION" + ("" if word_files else ", or give --file"))
    policies = {collection or "": settings_of(pairs)} if file is None else read_policies(file, collection)
    return {name: with_words(settings, word_files) for name, settings in policies.items()}


def _show(event: dict[str, Any], *, named: bool) -> None:
    data = event["data"]
    if event["type"] == CommandRejected.type:
        out.print(printable(f"rejected: {data['message']}"))
        return
    if named:
        out.print(printable(f"[{data['collection']}]"))
    for key, value in data["settings"].items():
        if key != "words" or not value:
            out.print(printable(f"{key} = {json.dumps(value, ensure_ascii=False)}"))
    for lists in data["settings"]["words"]:
        out.print("[[words]]")
        for key, value in lists.items():
            _show_list(key, value)


def _show_list(name: str, value: Any) -> None:
    """A word list as in a TOML file, on one line."""
    if isinstance(value, dict):
        for inner, listed in value.items():
            _show_list(f"{name}.{inner}", listed)
    else:
        out.print(printable(f"{name} = {json.dumps(' '.join(value.split()), ensure_ascii=False)}"))
