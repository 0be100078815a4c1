"""Every install line of the repository works as it stands: in a checkout, or with what an extra asks for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommender_engine import extras

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
KINDS = {".md", ".py", ".sh", ".service", ".ipynb", ".yml", ".yaml", ".toml", ""}
OF_A_CHECKOUT = re.compile(r"(?:\.|\.whl)\[([\w,-]+)\]")
OF_AN_INDEX = re.compile(r"(?<![\w./-])celery[-_]recommender(?![\w./-])")


def _texts() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if Path(name).suffix in KINDS and not name.startswith(("tests/", "docs/adr/")):
            yield ROOT / name


def _lines() -> Iterator[tuple[str, str]]:
    for path in _texts():
        for line in path.read_text().splitlines():
            for said in re.findall(r"pip install (.*)", line):
                yield path.relative_to(ROOT).as_posix(), said


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    found = list(_lines())
    if not found:
        pytest.skip("not in a checkout")
    return found


def test_install_lines_name_extras_that_exist_and_no_package_of_an_index(lines: list[tuple[str, str]]) -> None:
    assert len(lines) > 15
    named = {
        (path, extra) for path, said in lines for extras_ in OF_A_CHECKOUT.findall(said) for extra in extras_.split(",")
    }
    assert len({extra for _, extra in named}) > 8
    assert {(path, extra) for path, extra in named if extra not in EXTRAS} == set()
    assert [(path, said) for path, said in lines if OF_AN_INDEX.search(said)] == []


def test_the_form_of_a_checkout_installs() -> None:
    """What pip makes of it, but for the libraries, which are here."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--no-build-isolation"]
    wanted = f".[{','.join(EXTRAS)}]"
    done = subprocess.run([*command, wanted], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stdout + done.stderr
    assert "Would install celery-recommender" in done.stdout


def test_a_message_names_what_an_extra_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [
        "celery>=5.5",
        "celery-recommender[openvino]; extra == 'int8'",
        'nncf<3.5,>=3.4; extra == "int8"',
        "openvino>=2025.3; extra == 'openvino'",
    ]
    monkeypatch.setattr(extras, "requires", lambda _: known)
    assert extras.install_command("int8") == "pip install 'openvino>=2025.3' 'nncf<3.5,>=3.4'"
    assert extras.install_command("web") == "pip install '.[web]'"

    def absent(_: str) -> list[str]:
        raise extras.PackageNotFoundError

    monkeypatch.setattr(extras, "requires", absent)
    assert extras.install_command("int8") == "pip install '.[int8]'"


def test_messages_name_extras_that_exist() -> None:
    code = [path.read_text() for path in (*(ROOT / "recommender").rglob("*.py"), *(ROOT / "workers").rglob("*.py"))]
    named = {extra for text in code for extra in re.findall(r"install_command\([\"'](\w+)[\"']\)", text)}
    assert len(named) > 3
    assert named <= EXTRAS.keys()
