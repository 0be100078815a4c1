"""Virtual environments of the peers: pinned, made when first needed, beside the project's own, in ``.venv/peers``.

What a peer shares with the project (torch, transformers, sentence-transformers) it takes from the project's own
environment: all of them then compute with the same libraries, and nothing large is installed twice. What its pins ask
for comes first.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / ".venv" / "peers"
_PINS = Path(__file__).parent / "requirements"
_LINES_SHOWN = 3


class NotInstalled(Exception):
    """A peer cannot be had here; the message says why."""


def interpreter(name: str) -> Path:
    """The Python of a peer's environment, made if need be.

    Raises:
        NotInstalled: it cannot be made.
    """
    pins = _PINS / f"{name}.txt"
    folder = _FOLDER / f"{name}-{hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists():
        return python
    click.echo(f"  installing {name} …", err=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    packages = next(folder.glob("lib/python*/site-packages"))
    shared = sysconfig.get_paths()["purelib"]
    (packages / "project.pth").write_text(f"import site; site.addsitedir({shared!r})\n{ROOT}\n")
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pins)])
    done.touch()
    return python


def _run(command: list[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise NotInstalled(" | ".join(finished.stderr.strip().splitlines()[-_LINES_SHOWN:]))
