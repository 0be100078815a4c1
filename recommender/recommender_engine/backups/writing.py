"""Writes, verifies, copies and prunes backups."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from recommender_engine.backups.checking import verify
from recommender_engine.backups.manifest import MANIFEST, Backup, Manifest, Origin, listed
from recommender_engine.errors import StateError
from recommender_engine.event_log import event_log
from recommender_engine.files import copy_file, fsync, make_directory, require_room, whole_directory, whole_file
from recommender_engine.items import EntryId
from recommender_engine.opening import DATABASE, locked
from recommender_engine.store import DatabaseCopy, StateFacts, stopped_copy

_FORMAT: Final = 1

_log = event_log(__name__)


class BackupCancelled(StateError):
    """The backup was cancelled; its files are deleted."""


def write(
    database: DatabaseCopy, directory: Path, origin: Origin, cancelled: Callable[[], bool] = lambda: False
) -> Backup:
    """Write a backup into ``directory``, which is created if missing; it is complete and verified on return.

    Args:
        database: a copy that does not change meanwhile.
        directory: where backups are kept.
        origin: for the manifest.
        cancelled: polled; true cancels the backup.

    Raises:
        StateError: it could not be written, or what was written is not what was read; nothing is left of it.
    """
    try:
        make_directory(directory)
        _clear(directory, origin.partition)
        require_room(directory, database.size_bytes)
        path = directory / _name(origin, database.facts)
        with whole_directory(path) as temporary:
            digest = _write_database(database, temporary / DATABASE, cancelled)
            manifest = _manifest(database, origin, digest)
            with whole_file(temporary / MANIFEST) as file:
                file.write_text(manifest.model_dump_json(indent=2))
            verify(temporary)
    except OSError as error:
        raise StateError(f"the backup could not be written to {directory}: {error}") from error
    _log.info(
        "backups.written",
        extra={"path": str(path), "position": manifest.position, "size_bytes": manifest.size_bytes},
    )
    return Backup(path, manifest)


def back_up_directory(state: Path, directory: Path, origin: Origin) -> Backup:
    """Write a backup of a state directory that no owner has, as the release wrote that used it last.

    Raises:
        StateLocked: it has one.
        StateError: as for ``write``, or the state cannot be used.
    """
    if not (state / DATABASE).exists():  # before it is locked, which makes the directory
        raise StateError(f"there is no state in {state}")
    with locked(state), stopped_copy(state / DATABASE) as database:
        return write(database, directory, origin)


def prune(newest: Backup, keep: int) -> list[Path]:
    """Delete backups of the same state beside ``newest``: all but ``keep``, and all that contain data erased since.

    Returns:
        What was deleted.

    Raises:
        StateError: one could not be deleted.
    """
    said = newest.manifest
    ours = [one for one in listed(newest.path.parent, said.partition) if one.manifest.identity == said.identity]
    erasure = None if said.last_erasure is None else EntryId.parse(said.last_erasure)
    gone = []
    for number, one in enumerate(ours):
        erased = erasure is not None and one.manifest.place[0] < erasure
        if one.path != newest.path and (number >= keep or erased):
            try:
                _delete(one.path)
            except OSError as error:
                raise StateError(f"the backup {one.path} could not be deleted: {error}") from error
            gone.append(one.path)
    return gone


def copy(backup: Backup, directory: Path) -> Backup:
    """Copy a backup into another directory, perhaps on another disk; it is whole and verified there when this returns.

    Raises:
        StateError: it could not be written there.
    """
    target = directory / backup.path.name
    try:
        make_directory(directory)
        require_room(directory, backup.manifest.size_bytes)
        with whole_directory(target) as temporary:
            for name in (DATABASE, MANIFEST):
                copy_file(backup.path / name, temporary / name)
            verify(temporary)
    except OSError as error:
        raise StateError(f"the backup could not be copied to {directory}: {error}") from error
    return Backup(target, backup.manifest)


def move(backup: Backup, directory: Path) -> Backup:
    """Copy a backup and delete it where it was.

    Raises:
        StateError: it could not be written there; then it stays where it is.
    """
    copied = copy(backup, directory)
    with suppress(OSError):
        _delete(backup.path)
    return copied


def _write_database(database: DatabaseCopy, path: Path, cancelled: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        for chunk in database.chunks():
            if cancelled():
                raise BackupCancelled("the backup was given up")
            digest.update(chunk)
            file.write(chunk)
    fsync(path)
    return digest.hexdigest()


def _manifest(database: DatabaseCopy, origin: Origin, digest: str) -> Manifest:
    facts = database.facts
    return Manifest(
        format=_FORMAT,
        partition=origin.partition,
        identity=facts.identity,
        schema_version=facts.schema_version,
        position=str(facts.position),
        last_event=str(facts.last_event),
        last_erasure=None if facts.last_erasure is None else str(facts.last_erasure),
        created_at=origin.created_at.isoformat(timespec="milliseconds"),
        created_by=origin.created_by,
        size_bytes=database.size_bytes,
        sha256=digest,
    )


def _name(origin: Origin, facts: StateFacts) -> str:
    at, ms = origin.created_at, origin.created_at.microsecond // 1000
    return f"{origin.partition}.{at:%Y%m%dT%H%M%S}{ms:03}Z.{facts.position}"  # no partition has a dot in its name


def _delete(path: Path) -> None:
    """Delete a backup. A crash meanwhile leaves behind what the next backup clears, never a database that no manifest
    tells of, which nobody would look for."""
    going = path.with_name(f".{path.name}.tmp")
    if going.exists():
        shutil.rmtree(going)
    path.rename(going)
    fsync(path.parent)
    shutil.rmtree(going)


def _clear(directory: Path, partition: str) -> None:
    """Remove leftovers of a crash."""
    for path in directory.glob(f".{partition}.*.tmp"):
        shutil.rmtree(path)
