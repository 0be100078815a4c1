"""A file on its way into the commands stream: in blocks, at the owner's pace, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from celery_recommender.broker.commands.pacing import BLOCK, size_of_command
from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.cli.common import err
from celery_recommender.cli.input.checkpoint import Checkpoint
from celery_recommender.cli.input.tally import Tally
from celery_recommender.client import Client, CommandFields, command_fields
from celery_recommender.records import BadRow, Items
from recommender_engine.items import DeleteItem, EntryId, UpsertItem
from recommender_engine.items.commands import validate

Making = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]
"""Type and data of the command for an item."""

_POLL_S = 0.05
# How long an owner may take to start, and one that was there to come back: a supervisor's pause and loading the model.
_STARTS_S = 10.0
_RETURNS_S = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """What one round trip has sent.

    Attributes:
        rows: rows dealt with so far, bad ones included.
        sent: commands appended by this block.
        position: of the last command so far, if any.
    """

    rows: int
    sent: int
    position: EntryId | None


def send_rows(client: Client, items: Items, checkpoint: Checkpoint, tally: Tally, command: Making) -> Iterator[Block]:
    """Send the rows behind the checkpoint, block by block; yields after each round trip.

    Args:
        items: all rows of the file: those that have been sent are needed to tell which ids come again.
        tally: counts all of them.
        command: what to send for an item.
    """
    checkpoint.save()
    start, rows, unsent, size = checkpoint.rows, checkpoint.rows, 0, 0
    pending: list[CommandFields] = []
    for one in items:
        tally.add(one)
        if one.row.number <= start:
            continue
        rows = one.row.number
        if isinstance(one.item, BadRow):
            unsent += 1
        else:
            type_, data = command(one.item)
            fields = command_fields(type_, data, key=checkpoint.key(rows))
            pending.append(fields)
            size += size_of_command(fields)
        if len(pending) + unsent >= BLOCK or size >= client.pacing.batch_bytes:
            yield _flush(client, pending, rows, checkpoint)
            pending, unsent, size = [], 0, 0
    if pending or unsent:
        yield _flush(client, pending, rows, checkpoint)


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


def _flush(client: Client, pending: list[CommandFields], rows: int, checkpoint: Checkpoint) -> Block:
    client.pacing.wait_for_room(pending)
    position = client.log.append(pending)[-1] if pending else checkpoint.position
    if pending:
        checkpoint.last_sent = int(str(pending[-1]["key"]).rpartition(" ")[2])
    checkpoint.advance(rows, len(pending), position)
    return Block(rows, len(pending), position)


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
