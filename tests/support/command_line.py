"""The ``recommender`` command in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.processes import ROOT
from workers.settings import PREFIX, Settings


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workers", *arguments]


def environment(settings: Settings | None = None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = settings.to_environment() if settings else {}
    return {**inherited, **given, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "COLUMNS": "200"}


def run(settings: Settings, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with nothing to read."""
    return subprocess.run(
        command(*arguments),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
