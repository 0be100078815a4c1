"""``recommender backup``, ``restore`` and ``verify``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from celery.exceptions import TimeoutError as CeleryTimeoutError

from celery_recommender.celery.tasks.questions import Backup as BackupTask
from celery_recommender.celery.worker.app import make_app
from celery_recommender.cli.asking import owner_is_at_work, require_answers
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.owner.continuity.backups import CREATED_BY, backup_directory
from celery_recommender.settings import Settings
from recommender_engine import backups
from recommender_engine.backups import Backup, Origin
from recommender_engine.errors import StateError
from recommender_engine.files import give_to_owner_of

_TIMEOUT_S = 3600.0

_Folder = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("destination", metavar="[DEST]", required=False, type=_Folder)
@json_option
def backup(destination: Path | None, *, as_json: bool) -> None:
    """Write a backup of the state into the folder DEST (default $RECOMMENDER_BACKUP_DIR), and verify it.

    A running worker writes it beside its work, without a pause. Otherwise this command opens the state. A backup is a
    folder with the database and a manifest, written atomically.

    \b
    recommender backup /mnt/backups
    """
    settings = load_settings()
    where = destination or settings.backup_dir
    if where is None:
        raise click.UsageError("name a folder, or set RECOMMENDER_BACKUP_DIR")
    if owner_is_at_work(settings):
        made = _fetch(_by_owner(settings), where, settings)
    else:
        origin = Origin(settings.partition, datetime.now(UTC), CREATED_BY)
        made = backups.back_up_directory(settings.partition_dir, where, origin)
    if as_json:
        print_json(_told(made))
    else:
        _show("written and verified", made)


@click.command()
@click.argument("source", type=_Folder)
@click.option("--force", is_flag=True, help="Replace an existing state; it is kept beside, under another name.")
@json_option
def restore(source: Path, *, force: bool, as_json: bool) -> None:
    """Replace the state by the backup at SOURCE, or by the newest in the folder SOURCE.

    The backup is verified first. No worker may be running. A worker started afterwards decides again the commands after
    the backup that are still in the stream, and publishes nothing twice.

    \b
    recommender restore /mnt/backups
    """
    settings = load_settings()
    chosen, state = backups.find(source, settings.partition), settings.partition_dir
    aside = state.with_name(f"{state.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    replaced = backups.restore(chosen, state, aside if force else None)
    give_to_owner_of(aside if replaced else state.parent, state)
    if as_json:
        print_json({**_told(chosen), "state": str(state), "replaced": str(aside) if replaced else None})
        return
    _show("restored", chosen)
    if replaced:
        out.print(printable(f"the state that was there is kept in {aside}; delete it when nothing is missed"))
    out.print("start a worker: it goes on behind this position")


@click.command()
@click.argument("path", required=False, type=_Folder)
@json_option
@click.pass_context
def verify(context: click.Context, path: Path | None, *, as_json: bool) -> None:
    """Check every byte of the backup at PATH, or every page of a stopped state (default: that of the settings).

    Exit code 1 when it is damaged.

    \b
    recommender verify /mnt/backups/default.20261124T090000000Z.1764000000000-0
    recommender verify
    """
    target = path or load_settings().partition_dir
    try:
        found = _verified(target)
    except StateError as error:
        found = {"path": str(target), "sound": False, "reason": str(error)}
    if as_json:
        print_json(found)
    elif found["sound"]:
        out.print(printable(f"sound: {found['kind']} {target}, position {found['position']}"))
    else:
        click.echo(printable(f"Error: {found['reason']}").plain, err=True)
    context.exit(0 if found["sound"] else 1)


def _verified(path: Path) -> dict[str, Any]:
    if (path / backups.MANIFEST).exists():
        return {**_told(backups.verify(path)), "kind": "backup", "sound": True}
    facts = backups.verify_state(path)
    message = {"schema_version": facts.schema_version, "position": str(facts.position), "identity": facts.identity}
    return {"path": str(path), **message, "kind": "state", "sound": True}


def _by_owner(settings: Settings) -> Path:
    """Ask the worker; it chooses the place, so that no message names a file."""
    require_answers(settings)
    app, _ = make_app(settings)
    try:
        made = app.tasks[BackupTask.name].apply_async(expires=_TIMEOUT_S).get(timeout=_TIMEOUT_S)
    except CeleryTimeoutError as error:
        raise click.ClickException(f"the worker did not answer within {_TIMEOUT_S:.0f} s") from error
    path = Path(made["path"])
    if not path.exists():
        raise click.ClickException(f"the worker has written {path} on {made['host']}, which cannot be seen from here")
    return path


def _fetch(made: Path, where: Path, settings: Settings) -> Backup:
    """Have the worker's backup where it was asked for: moved there, unless the worker keeps it for itself."""
    found = backups.read(made)
    if where.resolve() == made.parent.resolve():
        return found
    if settings.backup_dir is not None and backup_directory(settings).resolve() == made.parent.resolve():
        return backups.copy(found, where)
    return backups.move(found, where)


def _told(one: Backup) -> dict[str, Any]:
    return {"path": str(one.path), **one.manifest.model_dump(mode="json")}


def _show(what: str, one: Backup) -> None:
    result = one.manifest
    size = f"{result.size_bytes / (1 << 20):,.1f} MiB"
    out.print(printable(f"{what}: {one.path}"))
    out.print(printable(f"position {result.position}, {size}, made {result.created_at}"))
