"""Full checks of backups and of states without an owner."""

from __future__ import annotations

from pathlib import Path

from recommender_engine.backups.manifest import Backup, Manifest, read
from recommender_engine.errors import StateDamaged, StateError
from recommender_engine.files import sha256
from recommender_engine.opening import DATABASE, locked
from recommender_engine.store import StateFacts, examine_copy, examine_state


def verify(path: Path) -> Backup:
    """Check the manifest, the size, SHA-256 and every page of the database, and that both agree.

    Raises:
        StateDamaged: it failed; use another one.
        StateTooNew: a newer release wrote it.
    """
    backup = read(path)
    said, database = backup.manifest, path / DATABASE
    try:
        size, digest = database.stat().st_size, sha256(database)
    except OSError as error:
        raise StateDamaged(f"the backup {path} cannot be read: {error.strerror or error}") from error
    if size != said.size_bytes or digest != said.sha256:
        raise StateDamaged(f"the database of the backup {path} is not what its manifest says: it is damaged")
    if _told(said) != _facts(examine_copy(database)):
        raise StateDamaged(f"the manifest of the backup {path} is about another database")
    return backup


def verify_state(directory: Path) -> StateFacts:
    """Check every page of the state in a directory that no owner has.

    Raises:
        StateLocked: it has one.
        StateDamaged, StateTooNew: as for a backup.
        StateError: there is no state.
    """
    if not (directory / DATABASE).exists():
        raise StateError(f"there is neither a backup nor a state in {directory}")
    with locked(directory):
        return examine_state(directory / DATABASE)


def _told(said: Manifest) -> tuple[object, ...]:
    return said.schema_version, said.identity, said.position, said.last_event, said.last_erasure


def _facts(facts: StateFacts) -> tuple[object, ...]:
    erasure = None if facts.last_erasure is None else str(facts.last_erasure)
    return facts.schema_version, facts.identity, str(facts.position), str(facts.last_event), erasure
