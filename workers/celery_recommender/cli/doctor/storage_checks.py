"""Checks of ``recommender doctor`` on disks: space, kind of file system, backups."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from celery_recommender.cli.output.findings import Finding, State
from celery_recommender.settings import Settings
from recommender_engine import backups
from recommender_engine.items import EntryId

_LEAST_FREE_BYTES = 1 << 30
_MOUNTS = Path("/proc/self/mounts")
_VIRTUAL = (("/", "proc"), ("/", "sys"))  # root is told that it may write there
# They lock, sync or rename in ways that a database cannot rely on.
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Room, and a file system that a database can live on."""
    place = _existing(settings.state_dir)
    if unfit := _unfit(place):
        yield Finding(
            "state directory",
            unfit,
            f"{settings.state_dir}: nothing can be written in {place}",
            "set RECOMMENDER_STATE_DIR to a folder that this user may write in",
        )
        return
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= _LEAST_FREE_BYTES else "warning"
    advice = "" if state == "ok" else f"free some space: less than {_LEAST_FREE_BYTES >> 30} GiB is left"
    yield Finding("state directory", state, f"{settings.state_dir}, {free / (1 << 30):.1f} GiB free", advice)
    kind = file_system(place)
    if kind in _NETWORK or kind.startswith("fuse."):
        yield Finding(
            "file system",
            "failed" if kind in _NETWORK else "warning",
            f"{kind}: it does not lock and sync as the database needs it",
            "put RECOMMENDER_STATE_DIR on a local disk; RECOMMENDER_BACKUP_DIR may be on another machine's",
        )


def check_backups(settings: Settings, position: EntryId | None) -> Iterator[Finding]:
    """Age of the newest backup, and room for the next.

    Args:
        settings: where backups are, and how often they are made.
        position: of the owner, if there is one; a backup of just that is never too old.
    """
    if settings.backup_dir is None:
        yield Finding(
            "backups",
            "warning",
            "a worker makes none: RECOMMENDER_BACKUP_DIR is not set; those of `recommender backup` are not looked for",
            "set RECOMMENDER_BACKUP_DIR, best to a folder on another disk",
        )
        return
    if unfit := _unfit(place := _existing(settings.backup_dir)):
        yield Finding(
            "backups",
            unfit,
            f"none can be made in {settings.backup_dir}: nothing can be written in {place}",
            "set RECOMMENDER_BACKUP_DIR to a folder that the worker's user may write in",
        )
        return
    known = backups.listed(settings.backup_dir, settings.partition)
    if not known:
        yield Finding(
            "backups", "warning", f"none in {settings.backup_dir}", "a worker makes one when it starts: see its log"
        )
        return
    newest = known[0]
    age_s = (datetime.now(UTC) - newest.created_at).total_seconds()
    late = age_s > 2 * settings.backup_every_s and newest.position != position
    yield Finding(
        "backups",
        "warning" if late else "ok",
        f"{len(known)} in {settings.backup_dir}, the newest {age_s / 60:,.0f} min old, at position {newest.position};"
        " verified when it was written",
        "it is older than two intervals: see the worker's log for backups.failed" if late else "",
    )
    free = shutil.disk_usage(settings.backup_dir).free
    if free < 2 * newest.manifest.size_bytes:
        yield Finding("room for backups", "warning", f"{free / (1 << 30):.1f} GiB", "the next one may not fit")


def _unfit(place: Path) -> State | None:
    """Whether no files can be made there: by any user, or by this one, which may be another than the worker's."""
    if not place.is_dir() or place.parts[:2] in _VIRTUAL:
        return "failed"
    return None if os.access(place, os.W_OK | os.X_OK) else "warning"


def file_system(path: Path) -> str:
    """Kind of the file system that the path is on, empty where it is unknown."""
    try:
        mounts = [line.split()[1:3] for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return ""
    over = [(len(at), kind) for at, kind in mounts if path.resolve().is_relative_to(_unescaped(at))]
    return max(over, default=(0, ""), key=lambda one: one[0])[1]


def _unescaped(mount: str) -> str:
    return mount.replace(r"\040", " ").replace(r"\011", "\t").replace(r"\012", "\n").replace(r"\134", "\\")


def _existing(directory: Path) -> Path:
    resolved = directory.resolve()
    return next(path for path in [resolved, *resolved.parents] if path.exists())
