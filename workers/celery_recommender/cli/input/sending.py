"""Sends the rows of a file to the commands stream: in blocks, no faster than they are decided, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import click

from celery_recommender.broker.commands.encoding import CommandFields, command_fields
from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.broker.routing.routes import collection_of
from celery_recommender.cli.common import err
from celery_recommender.cli.input.checkpoint import Checkpoint
from celery_recommender.cli.input.tally import Tally
from celery_recommender.client import Client
from celery_recommender.records import BadRow, ItemRow
from recommender_engine.items import DeleteItem, EntryId, RecordInteraction, UpsertItem
from recommender_engine.items.commands import validate

Making = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]
"""Type and data of the command for an item."""

_POLL_S = 0.05
# How long an owner may take to start, and one that was there to come back: a supervisor's pause and loading the model.
_STARTS_S = 10.0
_RETURNS_S = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """The commands of one round trip.

    Attributes:
        rows: rows dealt with so far, bad ones included.
        sent: commands appended by this block.
        position: of the last command so far, if any.
    """

    rows: int
    sent: int
    position: EntryId | None


class _Row(NamedTuple):
    """A row of a file and its command; a row that is no item has none."""

    number: int
    collection: str | None
    fields: CommandFields | None


def send_rows(
    client: Client, items: Iterable[ItemRow], checkpoint: Checkpoint, tally: Tally, command: Making
) -> Iterator[Block]:
    """Send the rows behind the checkpoint, block by block; yields after each round trip.

    Args:
        items: all rows of the file: those that have been sent are needed to tell which ids come again.
        tally: counts all of them.
        command: what to send for an item.
    """
    checkpoint.save()
    for block in client.pacing.blocks(_commands(items, checkpoint, tally, command), lambda row: row.fields):
        sent = [row for row in block if row.fields is not None]
        position = checkpoint.position
        if sent:
            position = client.append_paced([(row.collection, row.fields) for row in sent if row.fields])
            checkpoint.last_sent = sent[-1].number
        checkpoint.advance(block[-1].number, len(sent), position)
        yield Block(block[-1].number, len(sent), position)


def upsert(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The command that creates or replaces an item."""
    return UpsertItem.type, item


def silent_upsert(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The same for a backfill: nothing is published but summaries."""
    return UpsertItem.type, {**item, "silent": True}


def removal(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The command that takes an item out again."""
    return DeleteItem.type, {name: item[name] for name in ("id", "collection") if name in item}


def acceptable(item: dict[str, Any]) -> None:
    """Raise ``InvalidCommand`` for an item that no owner would accept: a rejection less, and no dead letter."""
    validate(UpsertItem, item)


def interaction(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The command for what a user did."""
    return RecordInteraction.type, data


def _commands(items: Iterable[ItemRow], checkpoint: Checkpoint, tally: Tally, command: Making) -> Iterator[_Row]:
    """The rows behind the checkpoint, each with its command."""
    start = checkpoint.rows
    for one in items:
        tally.add(one)
        number = one.row.number
        if number <= start:
            continue
        if isinstance(one.item, BadRow):
            yield _Row(number, None, None)
            continue
        type_, data = command(one.item)
        yield _Row(number, collection_of(data), command_fields(type_, data, key=checkpoint.key(number)))


def wait_until_decided(client: Client, position: EntryId) -> Iterator[int]:
    """Wait until the owner has committed the command at ``position``; yields how many are before it, now and then.

    An owner that starts, or is started again, is waited for.

    Raises:
        OwnerGone: there is no owner (any more); the commands stay in the stream until one comes.
    """
    patience_s, absent_since = _STARTS_S, None
    while True:
        status = read_status(client.redis, client.keys)
        if status is None:
            now = time.monotonic()
            if absent_since is None:
                absent_since = now
                err.print(f"no worker is running: waiting for one, up to {patience_s:.0f} s", style="dim")
            if now > absent_since + patience_s:
                raise OwnerGone
            yield commands_waiting(client.redis, client.keys, None)
            time.sleep(_POLL_S)
            continue
        patience_s, absent_since = _RETURNS_S, None
        if EntryId.parse(status.get("position", "0-0")) >= position:
            return
        yield commands_waiting(client.redis, client.keys, status)
        time.sleep(_POLL_S)


def outcome_of(client: Client, position: EntryId) -> dict[str, Any]:
    """The event that answers a command, once a worker has decided it.

    Raises:
        ClickException: none has; the command stays in the stream.
    """
    if read_status(client.redis, client.keys) is None:
        err.print("no worker is running: waiting for one", style="dim")
    try:
        return client.outcome(position)
    except TimeoutError as error:
        raise click.ClickException(
            "no worker has answered: the command waits in the stream, and takes effect when one comes to it"
            " (`recommender worker` starts one, `recommender doctor` says what is wrong)"
        ) from error


class OwnerGone(Exception):
    """No owner is at work."""
