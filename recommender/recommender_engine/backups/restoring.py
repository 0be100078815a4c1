"""Restores a backup as the state."""

from __future__ import annotations

import shutil
from pathlib import Path

from recommender_engine.backups.checking import verify
from recommender_engine.backups.manifest import Backup
from recommender_engine.errors import StateDamaged, StateError
from recommender_engine.files import copy_file, require_room, sha256, whole_directory
from recommender_engine.opening import DATABASE, locked


def restore(backup: Backup, state: Path, aside: Path | None) -> bool:
    """Verify a backup and make it the state in the directory ``state``.

    Args:
        backup: the backup.
        state: the state directory; created if missing.
        aside: new name of an existing state; ``None`` refuses to replace one.

    Returns:
        Whether there was a state; it is now at ``aside``.

    Raises:
        StateLocked: an owner has the directory.
        StateError: there is a state and ``aside`` is ``None``, or the disk fails.
        StateDamaged, StateTooNew: the backup cannot be used; nothing was changed.
    """
    verify(backup.path)
    with locked(state):
        replaced = (state / DATABASE).exists()
        if replaced and aside is None:
            raise StateError(f"there is a state in {state}: with --force it is kept aside and replaced")
        empty = state.with_name(f".{state.name}.empty")
        try:
            require_room(state.parent, backup.manifest.size_bytes)
            _put(backup, state, aside if replaced and aside else empty)
        except OSError as error:
            raise StateError(f"the backup could not be restored to {state}: {error}") from error
        finally:
            shutil.rmtree(empty, ignore_errors=True)
    return replaced


def _put(backup: Backup, state: Path, aside: Path) -> None:
    """Directories change places under the lock, which goes aside with the one that it is in."""
    moved = False
    try:
        with whole_directory(state) as temporary:
            copy_file(backup.path / DATABASE, temporary / DATABASE)
            if sha256(temporary / DATABASE) != backup.manifest.sha256:
                raise StateDamaged(f"what arrived in {state.parent} is not what is in the backup; look at the disk")
            state.rename(aside)
            moved = True
    except BaseException:
        if moved and not state.exists():
            aside.rename(state)
        raise
