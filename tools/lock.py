"""Writes the locked requirements of the image: ``python tools/lock.py``, with uv on the PATH or in the environment.

Every file of every package by its SHA-256, for ``pip install --no-deps --require-hashes``. PyTorch and what only its
builds for CUDA bring are left out: which build is taken, and from where, is an argument of the Dockerfile.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("model", "openvino", "int8", "parquet", "excel", "web", "otel")
LEFT_OUT = re.compile(r"torch|triton|(nvidia|cuda)-.*")
HEADER = "# Made by tools/lock.py. What is here is what the image gets, checked by hash.\n"

Locked = dict[str, str]


def main() -> None:
    """Write a file for the core, and one for each extra with what it adds."""
    core = resolve()
    write(ROOT / "deploy/requirements.lock", core)
    for extra in EXTRAS:
        added = {name: lines for name, lines in resolve(extra).items() if name not in core}
        write(ROOT / f"deploy/requirements-{extra}.lock", added)


def resolve(extra: str | None = None) -> Locked:
    """Lines of each package by its name, as uv writes them."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    command += ["--no-config", "--no-emit-index-url"]
    command += ["--python-version", "3.11", "--python-platform", "linux", *(["--extra", extra] if extra else [])]
    core = ROOT / "deploy/requirements.lock"
    if extra:
        command += ["--constraint", str(core)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    blocks = re.findall(r"^\S.*(?:\n    .*)*", done.stdout, re.MULTILINE)
    named = {block.partition("==")[0]: block for block in blocks}
    return {name: block for name, block in named.items() if not LEFT_OUT.fullmatch(name)}


def write(path: Path, locked: Locked) -> None:
    """One package below the other."""
    path.write_text(HEADER + "".join(f"{locked[name]}\n" for name in sorted(locked)))
    print(f"{path.relative_to(ROOT)}: {len(locked)} packages")


main()
