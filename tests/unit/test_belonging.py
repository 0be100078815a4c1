"""What root puts into a service's folder belongs to the service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from celery_recommender.cli import main
from celery_recommender.records.output import AtomicFile
from celery_recommender.settings import Settings
from recommender_engine.files import give_to_owner_of
from recommender_engine.items import UpsertItem
from recommender_engine.opening import open_recommender
from tests.support.encoders import FixedEncoders

SERVICE = 12345


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_whatever_root_leaves_behind_belongs_to_the_owner_of_its_folder(tmp_path: Path) -> None:
    """The state directory that a command has made, backups in a folder that was not there, and OUT."""
    os.chown(tmp_path, SERVICE, SERVICE)
    settings = Settings(state_dir=tmp_path / "made" / "state")
    open_recommender(settings.partition_dir, FixedEncoders(), partition="default").close()
    os.chown(tmp_path / "made", SERVICE, SERVICE)
    environment = settings.to_environment()
    for arguments in (
        ["backup", str(tmp_path / "new" / "backups")],
        ["stats"],
    ):
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
    AtomicFile(tmp_path / "items.jsonl").commit()
    found = {str(path.relative_to(tmp_path)): path.stat() for path in tmp_path.rglob("*")}
    assert {"made/state/state/default/state.sqlite3", "items.jsonl"} <= found.keys()
    assert {name for name, one in found.items() if (one.st_uid, one.st_gid) != (SERVICE, SERVICE)} == set()


@needs_root
def test_links_that_a_service_has_made_give_it_nothing_of_the_system(tmp_path: Path) -> None:
    folder, system = tmp_path / "folder", tmp_path / "system"
    folder.mkdir()
    system.mkdir()
    (system / "file").write_text("of the system")
    os.chown(folder, SERVICE, SERVICE)
    (folder / "hard").hardlink_to(system / "file")
    (folder / "soft").symlink_to(system / "file")
    (folder / "folder").symlink_to(system)
    (folder / "own").write_text("made by root")
    give_to_owner_of(folder, folder)
    assert {(system / "file").stat().st_uid, system.stat().st_uid} == {0}
    assert (folder / "own").stat().st_uid == SERVICE


@needs_root
def test_backup_and_restore_by_root_leave_files_of_the_service(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    open_recommender(settings.partition_dir, FixedEncoders(), partition="default").close()
    backups = tmp_path / "backups"
    backups.mkdir()
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, SERVICE, SERVICE)
    environment = settings.to_environment()
    for arguments in (["backup", str(backups)], ["restore", str(backups), "--force"]):
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
    made = [*backups.iterdir(), settings.partition_dir, *settings.partition_dir.rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(SERVICE, SERVICE)}


def test_what_php_writes_for_nothing() -> None:
    assert UpsertItem.model_validate({"id": "1", "text": "a", "attributes": [], "fields": []}).attributes == {}
    with pytest.raises(ValueError, match="attributes"):
        UpsertItem.model_validate({"id": "1", "text": "a", "attributes": ["x"]})
