"""The locked requirements of the image, held against pyproject.toml and against what packages require."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = ROOT / "deploy/requirements.lock"
EXTRAS = {path.stem.removeprefix("requirements-"): path for path in sorted(CORE.parent.glob("requirements-*.lock"))}
_IMAGE = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux", "extra": ""}
# Which build of torch is taken, and from where, the Dockerfile says; only its builds for CUDA require these.
_WITH_TORCH = re.compile(r"torch|triton|(nvidia|cuda)-.*")


def _locked(path: Path) -> dict[str, Version]:
    found = re.findall(r"^([a-z0-9-]+)==(\S+) \\$", path.read_text(), re.MULTILINE)
    return {name: Version(version) for name, version in found}


LOCKED = _locked(CORE)
EVERYTHING = LOCKED | {name: version for path in EXTRAS.values() for name, version in _locked(path).items()}


def _missing(requirements: list[str], locked: dict[str, Version]) -> list[str]:
    """Requirements that no locked version satisfies."""
    wanted = [one for text in requirements for one in _expanded(Requirement(text))]
    return [
        str(one)
        for one in wanted
        if (one.marker is None or one.marker.evaluate(_IMAGE))
        and not _WITH_TORCH.fullmatch(name := canonicalize_name(one.name))
        and (name not in locked or not one.specifier.contains(locked[name], prereleases=True))
    ]


def _expanded(requirement: Requirement) -> Iterator[Requirement]:
    """A requirement; for the project's own extras what they require."""
    if requirement.name != PROJECT["name"]:
        yield requirement
        return
    for extra in requirement.extras:
        for text in PROJECT["optional-dependencies"][extra]:
            yield from _expanded(Requirement(text))


def test_the_lock_agrees_with_the_project() -> None:
    assert _missing(PROJECT["dependencies"], LOCKED) == []
    for extra, path in EXTRAS.items():
        assert _missing(PROJECT["optional-dependencies"][extra], LOCKED | _locked(path)) == []
    assert set(EXTRAS) == {"excel", "model", "openvino", "int8", "parquet", "web", "otel"}


def _installed(name: str) -> Version | None:
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None


def test_the_lock_is_whole() -> None:
    """As far as it can be told here: of what is installed in the version that is locked, everything it requires is."""
    known = [name for name, locked in EVERYTHING.items() if _installed(name) == locked]
    for name in ["torch", *known]:
        assert _missing(requires(name) or [], EVERYTHING) == [], f"{name}: run python tools/lock.py"


@pytest.mark.parametrize("path", [CORE, *EXTRAS.values()], ids=lambda path: path.stem)
def test_everything_is_locked_by_its_hash_and_says_nothing_of_where_it_came_from(path: Path) -> None:
    header, *lines = path.read_text().splitlines()
    assert header.startswith("# Made by tools/lock.py.")
    blocks = re.findall(r"^\S+==\S+ (?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+$", "\n".join(lines), re.MULTILINE)
    assert "\n".join(blocks) == "\n".join(lines)
    assert len(blocks) == len(_locked(path))


def test_the_image_is_made_from_the_lock() -> None:
    dockerfile = re.sub(r"\\\n *", "", (ROOT / "deploy/Dockerfile").read_text())
    installs = re.findall(r"pip install (.*)", dockerfile)
    torch, locked, project = installs
    assert "--no-deps" in torch
    assert locked.startswith("--no-deps --require-hashes --requirement requirements.lock")
    assert project == "--no-deps . && pip check"
