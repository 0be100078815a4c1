from __future__ import annotations

import os
from pathlib import Path

import pytest

from recommender.embedding import processors
from recommender.embedding.processors import usable_processors


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "_CGROUP_V2", tmp_path / "cpu.max")
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


def test_without_a_control_group_the_scheduler_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_processors() == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_processors() == 1
