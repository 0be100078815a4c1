"""Which releases of Celery and kombu are taken, and what is told of those that lack something."""

from __future__ import annotations

import logging
import runpy
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from celery_recommender.celery.messages import parts
from celery_recommender.celery.messages.parts import PARTS, Parts, tell_what_is_missing

ROOT = Path(__file__).parents[2]
NEWEST = Parts(True, True, True, True, True, True, True)
OLDER = Parts(False, False, False, False, False, True, True)


def pinned() -> dict[str, Requirement]:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {requirement.name: requirement for requirement in map(Requirement, said)}


def bounds(requirement: Requirement) -> tuple[str, str]:
    by_operator = {one.operator: one.version for one in requirement.specifier}
    return by_operator[">="], by_operator["<"]


def listed(name: str) -> Iterable[str]:
    rows = runpy.run_path(str(ROOT / "tools/matrix.py"))["CELERIES"]
    for row in rows:
        yield from (said.partition("==")[2] for said in row if said.startswith(f"{name}=="))


@pytest.mark.parametrize("name", ["celery", "kombu"])
def test_the_pins_are_the_releases_that_the_matrix_runs(name: str) -> None:
    lowest, above = map(Version, bounds(pinned()[name]))
    tried = sorted({Version(version.replace("*", "99")) for version in listed(name)})
    minors = sorted({version.release[:2] for version in tried})
    assert tried[0] == Version(f"{lowest}.0") or tried[0] == lowest
    assert minors[0] == lowest.release[:2]
    assert above.release[:2] == (minors[-1][0], minors[-1][1] + 1)
    assert minors == [(minors[0][0], minor) for minor in range(minors[0][1], minors[-1][1] + 1)], "none left out"


@pytest.mark.parametrize("version", ["5.5.2", "5.6.0", "5.6.2", "5.7.0"])
def test_a_project_on_an_older_celery_can_install_us(version: str) -> None:
    assert pinned()["celery"].specifier.contains(version)
    assert pinned()["kombu"].specifier.contains(version)
    assert not pinned()["celery"].extras, "the extra of a release bounds redis-py"
    assert not pinned()["kombu"].extras


def test_what_is_there_is_seen_by_its_names() -> None:
    class Channel:
        from_transport_options = ("priority_steps",)

    assert Parts.of(Channel, object, object, object, {}).missing == [
        "drops_dead_connections",
        "renews_logins",
        "sweeps_by_option",
        "acknowledges_at_once",
        "wakes_loop",
        "bounds_eta_tasks",
        "names_connections",
    ]
    assert NEWEST.missing == []


@pytest.mark.parametrize("there", [NEWEST, OLDER], ids=["newest", "older"])
def test_missing_parts_are_reported_once(
    there: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parts, "PARTS", there)
    tell_what_is_missing.cache_clear()
    with caplog.at_level(logging.WARNING):
        tell_what_is_missing()
        tell_what_is_missing()
    told = [record for record in caplog.records if "celery.older" in record.getMessage()]
    assert len(told) == (0 if there is NEWEST else 1)
    if told:
        assert told[0].missing == ", ".join(there.missing)  # type: ignore[attr-defined]


def test_what_is_installed_is_known() -> None:
    assert isinstance(PARTS.missing, list)
