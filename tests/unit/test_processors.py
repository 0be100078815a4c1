from __future__ import annotations

import os
from pathlib import Path

import pytest

from recommender_engine.embedding import processors
from recommender_engine.embedding.processors import usable_processors


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "_CGROUPS", tmp_path)
    monkeypatch.setattr(processors, "_OWN", tmp_path / "own")
    monkeypatch.setattr(processors, "_CGROUP_V1", (tmp_path / "quota", tmp_path / "period"))


@pytest.mark.parametrize(
    ("says", "usable"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("?", 8),
    ],
)
def test_a_quota_counts(says: str, usable: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(says + "\n")
    assert usable_processors() == usable


@pytest.mark.parametrize(("quota", "usable"), [("-1", 8), ("300000", 3)])
def test_a_quota_of_the_older_kind_counts(quota: str, usable: int, tmp_path: Path) -> None:
    (tmp_path / "quota").write_text(quota + "\n")
    (tmp_path / "period").write_text("100000\n")
    assert usable_processors() == usable


@pytest.mark.parametrize(
    ("outermost", "slice_", "service", "usable"),
    [
        (None, "max 100000", "300000 100000", 3),
        (None, "200000 100000", "300000 100000", 2),
        (None, "200000 100000", None, 2),
        ("100000 100000", None, "max 100000", 1),
        (None, None, None, 8),
    ],
)
def test_the_quota_of_a_service_counts_and_of_every_group_around_it(
    outermost: str | None, slice_: str | None, service: str | None, usable: int, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text("1:name=systemd:/elsewhere\n0::/system.slice/worker.service\n")
    folders = tmp_path, tmp_path / "system.slice", tmp_path / "system.slice" / "worker.service"
    folders[-1].mkdir(parents=True)
    for folder, says in zip(folders, (outermost, slice_, service), strict=True):
        if says is not None:
            (folder / "cpu.max").write_text(says + "\n")
    (tmp_path.parent / "cpu.max").write_text("100000 100000\n")  # outside of all groups: not asked
    try:
        assert usable_processors() == usable
    finally:
        (tmp_path.parent / "cpu.max").unlink()


def test_without_a_control_group_the_scheduler_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_processors() == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_processors() == 1
