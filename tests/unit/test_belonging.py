"""What root puts into a service's folder belongs to the service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from recommender.items import UpsertItem
from recommender.opening import open_recommender
from tests.support.encoders import FixedEncoders
from workers.cli import main
from workers.settings import Settings

SERVICE = 12345


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
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
