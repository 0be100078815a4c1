"""What ``recommender doctor`` says about disks and backups."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from celery_recommender.cli.doctor import storage_checks
from celery_recommender.cli.doctor.storage_checks import check_backups, check_disk, file_system
from celery_recommender.settings import Settings
from recommender_engine import backups
from recommender_engine.backups import Origin
from tests.support.engine import Log, opened


def states(settings: Settings, *, position: object = None) -> dict[str, str]:
    return {one.check: one.state for one in check_backups(settings, position)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "state"),
    [("ext4", None), ("overlay", None), ("nfs4", "failed"), ("cifs", "failed"), ("fuse.s", "warning")],
)
def test_unreliable_file_systems_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, state: str | None
) -> None:
    mounts = tmp_path / "mounts"
    (tmp_path / "a share").mkdir()
    place = str(tmp_path / "a share").replace(" ", r"\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/export {place} {kind} rw 0 0\n")
    monkeypatch.setattr(storage_checks, "_MOUNTS", mounts)
    assert file_system(tmp_path / "a share" / "state") == kind
    assert file_system(tmp_path) == "ext4"
    found = {one.check: one.state for one in check_disk(Settings(state_dir=tmp_path / "a share" / "state"))}
    assert found.get("file system") == state


def test_a_system_that_does_not_tell_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_checks, "_MOUNTS", tmp_path / "nothing")
    assert file_system(tmp_path) == ""
    assert "file system" not in {one.check for one in check_disk(Settings(state_dir=tmp_path))}


def test_unwritable_directories_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below", Path("/proc/none/below")):
        (told,) = check_disk(Settings(state_dir=place))
        assert (told.check, told.state) == ("state directory", "failed")
        assert "RECOMMENDER_STATE_DIR" in told.advice
        assert states(Settings(backup_dir=place)) == {"backups": "failed"}
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    (told,) = check_disk(Settings(state_dir=tmp_path))
    assert (told.check, told.state) == ("state directory", "warning"), "the worker's user may be another"


def test_backups_are_missed_late_or_fine(tmp_path: Path) -> None:
    assert states(Settings()) == {"backups": "warning"}
    (told,) = check_backups(Settings(), None)
    assert "RECOMMENDER_BACKUP_DIR is not set" in told.found, "where it looked"
    assert "recommender backup" in told.found, "there may be some elsewhere"
    settings = Settings(backup_dir=tmp_path / "backups", backup_every_s=600)
    assert states(settings) == {"backups": "warning"}
    with closing(opened(tmp_path / "state")) as engine:
        engine.process([Log().upsert("a", "text")])
        position = engine.position
    made_at = datetime.now(UTC) - timedelta(seconds=1300)
    backups.back_up_directory(tmp_path / "state", tmp_path / "backups", Origin("default", made_at, "tests"))
    assert states(settings)["backups"] == "warning", "older than two intervals"
    assert states(settings, position=position)["backups"] == "ok", "nothing has happened since"
    assert states(settings.replaced(backup_every_s=700))["backups"] == "ok"
