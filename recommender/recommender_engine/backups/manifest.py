"""Backups on disk and their manifests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from recommender_engine.errors import StateDamaged, StateError
from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId
from recommender_engine.items.values import Value

MANIFEST: Final = "manifest.json"

_MAX_MANIFEST_BYTES = 64 * 1024
_MOST_AHEAD_MS = 7 * 24 * 3600 * 1000

_log = event_log(__name__)


class Manifest(Value):
    """The description of a backup.

    Attributes:
        format: of this manifest.
        partition: the state's partition.
        identity: distinguishes the state from others of the same partition.
        schema_version: of its tables.
        position: of the last applied command; later commands are replayed.
        last_event: id of its last event.
        last_erasure: position of the last command that erased something.
        created_at: when, RFC 3339 in UTC.
        created_by: name and version of the program.
        size_bytes: of the database.
        sha256: of the database, in hexadecimal.
    """

    format: Literal[1]
    partition: str
    identity: str | None
    schema_version: int
    position: str
    last_event: str
    last_erasure: str | None
    created_at: str
    created_by: str
    size_bytes: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def place(self) -> tuple[EntryId, str]:
        """By which backups of one state are sorted: one whose position no clock has reached comes before all others.
        The state has gone on from a lower one, and cannot use it any more."""
        position = EntryId.parse(self.position)
        ahead_ms = position.ms - datetime.fromisoformat(self.created_at).timestamp() * 1000
        return (START if ahead_ms > _MOST_AHEAD_MS else position), self.created_at


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a backup.

    Attributes:
        partition: the state's partition.
        created_at: now, in UTC.
        created_by: name and version of the program.
    """

    partition: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup on disk.

    Attributes:
        path: its directory.
        manifest: its description.
    """

    path: Path
    manifest: Manifest

    @property
    def created_at(self) -> datetime:
        """When, in UTC."""
        return datetime.fromisoformat(self.manifest.created_at)

    @property
    def position(self) -> EntryId:
        """Position of the last applied command."""
        return EntryId.parse(self.manifest.position)


def read(path: Path) -> Backup:
    """Read the manifest of a backup, without its database.

    Raises:
        StateDamaged: it is no backup, or its manifest is damaged.
    """
    try:
        with (path / MANIFEST).open("rb") as file:
            return Backup(path, Manifest.model_validate_json(file.read(_MAX_MANIFEST_BYTES)))
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        raise StateDamaged(f"the manifest of the backup {path} is damaged: {what['msg']}") from None
    except OSError as error:
        raise StateDamaged(f"{path} is no backup: {error.strerror or error}") from error


def listed(directory: Path, partition: str) -> list[Backup]:
    """Backups of a partition, newest first, without unreadable ones."""
    found = []
    for path in directory.glob(f"*/{MANIFEST}") if directory.is_dir() else ():
        if path.parent.name.startswith("."):
            continue
        try:
            backup = read(path.parent)
        except StateDamaged as error:
            _log.warning("backups.unreadable", extra={"reason": str(error)})
            continue
        if backup.manifest.partition == partition:
            found.append(backup)
    return sorted(found, key=lambda one: one.manifest.place, reverse=True)


def find(source: Path, partition: str) -> Backup:
    """The backup at ``source``, or the newest one of the partition in it.

    Raises:
        StateError: there is none, or it is another partition's.
    """
    if (source / MANIFEST).exists():
        backup = read(source)
        if backup.manifest.partition != partition:
            raise StateError(
                f"{source} is a backup of partition {backup.manifest.partition!r}, not of {partition!r}:"
                " see RECOMMENDER_PARTITION"
            )
        return backup
    known = listed(source, partition)
    if not known:
        raise StateError(f"there is no backup of partition {partition!r} in {source}")
    return known[0]
