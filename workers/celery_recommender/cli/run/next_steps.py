"""What to do next, told at the end of a command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import quote

from celery_recommender.broker.redis.connections import masked
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.cli.common import load_settings, out, printable
from celery_recommender.cli.run.together import program
from celery_recommender.settings import Settings


def items_page(address: str, collection: str) -> str:
    """The page that lists the duplicates of a collection."""
    return f"{address}/items?collection={quote(collection, safe='')}&band=duplicate"


def default_page() -> str:
    """The address that `recommender web` listens on with these settings."""
    settings = load_settings()
    return f"http://{settings.web_host}:{settings.web_port}/"


def next_commands(settings: Settings, collection: str | None) -> list[tuple[str, str]]:
    """The three commands that come next, each with what it does."""
    name = program()
    if collection is None:
        server = f"-u {shlex.quote(masked(settings.redis_url))}"
        if not settings.redis_url:
            server = f"-s {shlex.quote(str(settings.state_dir / 'redis' / 'server.sock'))}"
        stream = PartitionKeys.of(settings.home, settings.key_prefix).commands
        data = '{"id":"T-1","text":"The export button does nothing"}'
        return [
            (f"redis-cli {server} XADD {stream} '*' data {shlex.quote(data)}", "sends an item"),
            (f"{name} watch --from-start", "shows the verdicts as they come"),
            (f"{name} doctor", "checks everything"),
        ]
    return [
        (f"{name} review", "answers, by one key each, the pairs that need a person"),
        (f"{name} list --band duplicate", "lists the duplicates"),
        (f"{name} search 'a few words'", "shows the items nearest to a text"),
    ]


def tell_next_commands(commands: Sequence[tuple[str, str]]) -> None:
    """Print them, aligned."""
    width = max(len(command) for command, _ in commands)
    for command, does in commands:
        out.print(printable(f"  {command:{width}}  {does}"))
