"""``recommender dead-letters``: what could not be accepted, and what to do about it."""

from __future__ import annotations

import base64
import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from celery_recommender.broker.events.dead_letters import DeadLetters, Letter, NotReplayable
from celery_recommender.broker.redis.connections import connect, is_redis
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.worker.app import make_app
from celery_recommender.celery.worker.result_delivery import call_task
from celery_recommender.cli.asking import require_server
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable
from celery_recommender.settings import Settings
from celery_recommender.webhooks.endpoints import Endpoint, read_endpoints
from celery_recommender.webhooks.message import headers_of, message_of
from celery_recommender.webhooks.sending import Connection, NotAccepted
from recommender_engine.items import EntryId

_SHOWN = ("code", "message", "field", "source", "command_type", "item_id", "collection", "payload_bytes")


def _id(text: str) -> EntryId:
    try:
        return EntryId.parse(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no id; `recommender dead-letters list` shows them") from None


@click.group("dead-letters")
def dead_letters() -> None:
    """Show, replay or drop messages that could not be accepted.

    What becomes a dead letter, and what happens on replay: docs/guide/dead-letters.md.

    \b
    recommender dead-letters list                     the newest, with their ids
    recommender dead-letters show 1730000000000-0     one, with its payload
    recommender dead-letters replay --reason encoding_failed
    recommender dead-letters drop --all
    """


@dead_letters.command("list")
@click.option("--reason", metavar="CODE", help="Only letters with this code.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Maximum number.")
@json_option
def list_(reason: str | None, limit: int, *, as_json: bool) -> None:
    """Show dead letters, newest first."""
    with _letters() as letters:
        found = [letter for _, letter in islice(_chosen(letters, reason), limit + 1)]
    shown, more = found[:limit], len(found) > limit
    if as_json:
        print_json([_as_json(letter) for letter in shown])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "reason", "item", "what is wrong"):
        table.add_column(column, no_wrap=column != "what is wrong")
    for letter in shown:
        item = "" if letter.data["item_id"] is None else letter.data["item_id"]
        table.add_row(Text(str(letter.id)), *map(printable, (letter.code, item, letter.data["message"])))
    out.print(table if shown else "no dead letters")
    if more:
        err.print(f"there are more than {limit}: --limit shows more, --reason CODE fewer")


@dead_letters.command()
@click.argument("id_", metavar="ID", type=_id)
@json_option
def show(id_: EntryId, *, as_json: bool) -> None:
    """Show one dead letter and its payload."""
    with _letters() as letters:
        _, letter = _get(letters, id_)
    if as_json:
        print_json(_as_json(letter) | _whole(letter))
        return
    out.print(Text.assemble((f"{'time':14}", "bold"), printable(letter.event.get("time", "unknown"))))
    out.print(Text.assemble((f"{'command':14}", "bold"), printable(letter.data["command"]["id"])))
    for name in _SHOWN:
        if letter.data[name] is not None:
            out.print(Text.assemble((f"{name:14}", "bold"), printable(letter.data[name])))
    out.print()
    out.print(printable(letter.payload.decode(errors="backslashreplace")))


def _choice(function: Any) -> Any:
    """Which letters: by id, by reason, or all."""
    every = click.option("--all", "every", is_flag=True, help="All letters.")
    reason = click.option("--reason", metavar="CODE", help="All letters with this code.")
    ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=_id)
    return ids(every(reason(json_option(function))))


@dead_letters.command()
@_choice
@click.pass_context
def replay(context: click.Context, ids: Sequence[EntryId], reason: str | None, *, every: bool, as_json: bool) -> None:
    """Send dead letters again, and drop them.

    Exit code 1 if one of them cannot be sent again; it stays.
    """
    kept: list[str] = []

    def again(letters: DeadLetters, letter: Letter) -> bool:
        try:
            letters.replay(letter)
        except NotReplayable as error:
            kept.append(str(error))
            return False
        return True

    done = _do(again, ids, reason, every=every)
    if as_json:
        print_json({"replayed": done.total(), "by_reason": dict(done), "kept": kept})
    else:
        out.print(printable(f"sent again: {_counted(done)}"))
        for remark in kept:
            err.print(printable(f"kept: {remark}"))
    context.exit(1 if kept else 0)


@dead_letters.command()
@_choice
def drop(ids: Sequence[EntryId], reason: str | None, *, every: bool, as_json: bool) -> None:
    """Delete dead letters."""
    done = _do(lambda letters, letter: letters.drop([letter.id]) > 0, ids, reason, every=every)
    if as_json:
        print_json({"dropped": done.total(), "by_reason": dict(done)})
    else:
        out.print(printable(f"dropped: {_counted(done)}"))


def _do(
    act: Callable[[DeadLetters, Letter], bool], ids: Sequence[EntryId], reason: str | None, *, every: bool
) -> Counter[str]:
    """Do something to the letters chosen, the oldest first; how many, by reason."""
    if sum((bool(ids), reason is not None, every)) != 1:
        raise click.UsageError("say which: their IDs, or --reason CODE, or --all")
    done: Counter[str] = Counter()
    with _letters() as letters:
        # As many as there are now: one that is rejected again comes back as a new letter.
        chosen = [_get(letters, id_) for id_ in ids] if ids else list(_chosen(letters, reason))
        for home, letter in sorted(chosen, key=lambda one: one[1].id):
            if act(home, letter):
                done[letter.code] += 1
    return done


@contextmanager
def _letters() -> Iterator[list[DeadLetters]]:
    """Those of every partition."""
    settings = require_server(load_settings())
    server = settings.redis_url
    broker = settings.broker_url or server
    deliver = partial(_deliver, settings) if settings.deliver_task else None
    endpoints = read_endpoints(settings.webhooks, settings.webhook_secret)
    post = partial(_post, endpoints) if endpoints else None
    every = [PartitionKeys.of(partition, settings.key_prefix) for partition in settings.all_partitions]
    with connect(server) as redis:
        if not is_redis(broker):
            yield [DeadLetters(redis, keys, None, deliver, post) for keys in every]
            return
        with connect(broker) as celery:
            yield [DeadLetters(redis, keys, celery, deliver, post) for keys in every]


def _deliver(settings: Settings, event: dict[str, Any]) -> None:
    """Call the user's task with an event, under the id of the call that the owner would have made."""
    app, _ = make_app(settings)
    partition = str(event["source"]).rpartition("/")[2]
    try:
        call_task(app, settings.replaced(partition=partition), event)
    finally:
        app.close()


def _post(endpoints: Sequence[Endpoint], name: str, text: str) -> None:
    """Send an event to an endpoint, once, under the id that the owner would have given it."""
    endpoint = next((one for one in endpoints if one.name == name), None)
    if endpoint is None:
        raise NotReplayable(f"there is no endpoint {name!r} any more")
    event = json.loads(text)
    body = message_of(endpoint, event, text)
    connection = Connection(endpoint)
    try:
        if body is not None:
            connection.post(body, headers_of(endpoint, event, body))
    except NotAccepted as error:
        raise NotReplayable(f"the webhook {name} did not take it: {error}") from error
    finally:
        connection.close()


def _chosen(letters: list[DeadLetters], reason: str | None) -> Iterator[tuple[DeadLetters, Letter]]:
    """Letters with the partition's that hold them, the newest first."""
    of_each = (((home, letter) for letter in home.newest_first()) for home in letters)
    newest_first = heapq.merge(*of_each, key=lambda one: one[1].id, reverse=True)
    return ((home, letter) for home, letter in newest_first if reason is None or letter.code == reason)


def _get(letters: list[DeadLetters], id_: EntryId) -> tuple[DeadLetters, Letter]:
    found = [(home, letter) for home in letters if (letter := home.get(id_)) is not None]
    if not found:
        raise click.ClickException(f"there is no dead letter {id_}")
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} partitions have a dead letter {id_}: choose by --reason")
    return found[0]


def _as_json(letter: Letter) -> dict[str, Any]:
    return {"id": str(letter.id), "time": letter.event.get("time"), **letter.data}


def _whole(letter: Letter) -> dict[str, Any]:
    """The whole message, where the event holds its beginning only."""
    if letter.full is None:
        return {}
    try:
        return {"payload": letter.full.decode(), "payload_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"payload": base64.b64encode(letter.full).decode(), "payload_encoding": "base64"}


def _counted(done: Counter[str]) -> str:
    if not done:
        return "none"
    return f"{done.total()} ({', '.join(f'{count} {code}' for code, count in done.most_common())})"
