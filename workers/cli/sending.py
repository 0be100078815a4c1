"""A file on its way into the commands stream: in blocks, at the owner's pace, resumable."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from recommender.errors import InvalidCommand
from recommender.items import EntryId
from workers.broker.pacing import BLOCK, size_of_command
from workers.broker.status import commands_waiting, read_status
from workers.cli.common import err
from workers.client import Client, CommandFields, command_fields
from workers.records import BadRow, ItemMapping, RecordReader, Row

_POLL_S = 0.05
# How long an owner may take to start, and one that was there to come back: a supervisor's pause and loading the model.
_STARTS_S = 10.0
_RETURNS_S = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """What one round trip has sent.

    Attributes:
        rows: rows read so far, bad ones included.
        sent: commands appended by this block.
        bad: rows that are no items.
        position: of the last command so far, if any.
    """

    rows: int
    sent: int
    bad: tuple[BadRow, ...]
    position: EntryId | None


class Checkpoint:
    """How far a file has been sent, kept in the state directory until it is through.

    The commands of one run carry keys made of the run's id and the row number, so that rows sent again after a crash
    have no second effect.

    Args:
        directory: where checkpoints are kept; ``None`` keeps none (standard input).
        identity: what tells this file and its options from others.
        restart: forget how far an earlier run came.
    """

    def __init__(self, directory: Path | None, identity: str, *, restart: bool) -> None:
        digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._path = None if directory is None else directory / f"{digest}.json"
        self.rows = 0
        self.last_sent = 0
        self.run = uuid.uuid4().hex
        self.position: EntryId | None = None
        if self._path is not None and self._path.exists() and not restart:
            known = json.loads(self._path.read_text())
            self.rows, self.run = known["rows"], known["run"]
            self.last_sent = known.get("last_sent", self.rows)
            self.position = EntryId.parse(known["position"]) if known["position"] else None

    def key(self, row: int) -> str:
        """The key of a row's command."""
        return f"{self.run} {row}"

    def advance(self, rows: int, position: EntryId | None) -> None:
        """So many rows have been sent."""
        self.rows, self.position = rows, position
        self.save()

    def save(self) -> None:
        """Write it down; before the first row is sent as well, or a crash would send the first block under new keys."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            position = str(self.position) if self.position else None
            said = {"rows": self.rows, "last_sent": self.last_sent, "run": self.run, "position": position}
            text = json.dumps(said)
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text(text)
            temporary.replace(self._path)

    def finish(self) -> None:
        """The file is through."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def file_identity(path: str, *options: object) -> str:
    """What tells a file with its options from others: where it lies, its size and time of change."""
    stat = Path(path).stat()
    return repr((str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns, *options))


def send_rows(
    client: Client, reader: RecordReader, mapping: ItemMapping, checkpoint: Checkpoint, *, silent: bool
) -> Iterator[Block]:
    """Send the rows behind the checkpoint, block by block; yields after each round trip."""
    checkpoint.save()
    rows = checkpoint.rows
    pending: list[CommandFields] = []
    bad: list[BadRow] = []
    size = 0
    for row in reader:
        rows = row.number
        fields = _command(row, mapping, checkpoint, silent=silent)
        if isinstance(fields, BadRow):
            bad.append(fields)
        else:
            pending.append(fields)
            size += size_of_command(fields)
        if len(pending) + len(bad) >= BLOCK or size >= client.pacing.batch_bytes:
            yield _flush(client, pending, bad, rows, checkpoint)
            pending, bad, size = [], [], 0
    if pending or bad:
        yield _flush(client, pending, bad, rows, checkpoint)


def _command(
    row: Row | BadRow, mapping: ItemMapping, checkpoint: Checkpoint, *, silent: bool
) -> CommandFields | BadRow:
    item: dict[str, Any] | BadRow = row if isinstance(row, BadRow) else mapping.item(row)
    if isinstance(item, BadRow):
        return item
    try:
        return command_fields(
            "item.upsert", {**item, "silent": True} if silent else item, key=checkpoint.key(row.number)
        )
    except InvalidCommand as error:
        return BadRow(row.number, f"{error.code}: {error}")


def _flush(client: Client, pending: list[CommandFields], bad: list[BadRow], rows: int, checkpoint: Checkpoint) -> Block:
    client.pacing.wait_for_room(pending)
    position = client.log.append(pending)[-1] if pending else checkpoint.position
    if pending:
        checkpoint.last_sent = int(str(pending[-1]["key"]).rpartition(" ")[2])
    checkpoint.advance(rows, position)
    return Block(rows, len(pending), tuple(bad), position)


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


@contextmanager
def resumable() -> Iterator[None]:
    """Say how to go on when it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("what has been sent is safe: the same command goes on where this one stopped")
        raise


class OwnerGone(Exception):
    """No owner is at work."""
