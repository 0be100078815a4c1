"""The ``recommender`` command: in processes of its own, and in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner

from celery_recommender.cli.common import out
from celery_recommender.cli.main import main
from celery_recommender.settings import PREFIX, Settings
from tests.support.processes import SOURCES
from tests.support.waiting import wait_until

WIDTH = "200"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery_recommender", *arguments]


def environment(settings: Settings | None = None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = settings.to_environment() if settings else {}
    return {**inherited, **given, "PYTHONPATH": SOURCES, "PYTHONWARNINGS": "ignore", "COLUMNS": WIDTH}


def run(settings: Settings, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with empty standard input."""
    return subprocess.run(
        command(*arguments),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def call(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in this process, which has its imports loaded: for output and effects, not for the exit status."""
    inherited = dict.fromkeys(name for name in os.environ if name.startswith(PREFIX))
    env = {**inherited, **environment(settings)}
    # The console takes its width from the environment when it is made, and that may be long ago.
    with patch.object(out, "_width", int(WIDTH)), patch.object(out, "_height", 50):
        done = CliRunner().invoke(main, arguments, env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def doctor_finds(settings: Settings, check: str, *states: str, timeout_s: float = 30.0) -> dict[str, Any]:
    """The finding of ``recommender doctor`` on ``check``, once it is in one of ``states``."""
    said: list[str] = []

    def find() -> dict[str, Any] | None:
        said[:] = [call(settings, "doctor", "--json").stdout]
        found: list[dict[str, Any]] = json.loads(said[0])
        return next((one for one in found if one["check"] == check and one["state"] in states), None)

    try:
        return wait_until(find, f"{check!r} to be {' or '.join(states)}", timeout_s) or {}
    except TimeoutError as error:
        raise TimeoutError(f"{error}; the doctor said {''.join(said)}") from error
