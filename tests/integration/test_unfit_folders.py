"""Folders and files that cannot be used, with a server given: told with the name of the setting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from celery_recommender.settings import Settings
from tests.support.command_line import call

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


def unfit(tmp_path: Path, kind: str) -> Path:
    place = tmp_path / kind
    if kind == "a file":
        place.touch()
    elif kind == "below a file":
        place.touch()
        place /= "below"
    else:
        if os.geteuid() == 0:
            return Path("/proc/none/below")  # where root, too, can make nothing
        place.mkdir(mode=0o500)
    return place


@pytest.mark.parametrize("kind", ["a file", "below a file", "not writable"])
@pytest.mark.parametrize("command", ["ingest", "enrich"])
def test_a_command_names_the_setting_of_a_state_directory(
    settings: Settings, tmp_path: Path, kind: str, command: str
) -> None:
    file = tmp_path / "items.csv"
    file.write_text("id,text\n1,an oak desk lamp\n2,a pine desk lamp\n")
    more = [str(tmp_path / "out.csv")] if command == "enrich" else []
    done = call(settings.replaced(state_dir=unfit(tmp_path, kind)), command, str(file), *more, "--yes")
    assert done.returncode == 1
    assert "(RECOMMENDER_STATE_DIR)" in done.stderr


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("state_dir", "a file"),
        ("state_dir", "not writable"),
        ("message_rules", "below a file"),
        ("backup_dir", "a file"),
    ],
)
def test_a_worker_names_the_setting_of_what_it_cannot_use(
    settings: Settings, owner_process, tmp_path: Path, setting: str, value: str
) -> None:
    owner = owner_process(changes={setting: unfit(tmp_path, value)}).start()
    owner.until(lambda: f"(RECOMMENDER_{setting.upper()})" in owner.output, "the owner to say what it cannot use")
