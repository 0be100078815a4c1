"""``examples/celery-shop`` as its README says to run it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from celery_recommender.broker.redis.connections import celery_url
from celery_recommender.settings import Settings
from tests.support.processes import ROOT, SOURCES, OwnerProcess, WorkerProcess
from tests.support.servers import make_server, running

pytestmark = [pytest.mark.server, pytest.mark.model]

SHOP = ROOT / "examples" / "celery-shop"
APP = "shop.celery_app"


def promised() -> list[str]:
    """What the README shows, of each command."""
    blocks: list[str] = re.findall(r"```text\n(.*?)```", (SHOP / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    return blocks


def test_the_shop_prints_what_its_readme_says(tmp_path: Path) -> None:
    with running(make_server("embedded", tmp_path / "server")) as server:
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", deliver_task="shop.tasks.on_event")
        place = {
            "directory": SHOP,
            "environment": {"REDIS_URL": celery_url(server.url), "SHOP_DATABASE": str(tmp_path / "shop.sqlite3")},
        }
        own = WorkerProcess(APP, settings, tmp_path / "shop.log", ["--hostname=shop@%h", "--concurrency=2"], **place)
        owner = OwnerProcess(settings, tmp_path / "owner.log", APP, **place)
        with own.start(), owner.start():
            own.wait_ready()
            owner.wait_ready()
            for module, expected in zip(("shop", "shop.pages", "shop.table"), promised(), strict=True):
                shown = subprocess.run(
                    [sys.executable, "-m", module],
                    cwd=SHOP,
                    env={**os.environ, **settings.to_environment(), **place["environment"], "PYTHONPATH": SOURCES},
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=120,
                )
                assert (shown.stdout, shown.returncode) == (expected, 0), shown.stderr
            assert owner.terminate() == 0
            assert own.terminate() == 0
    with closing(sqlite3.connect(tmp_path / "shop.sqlite3")) as database:
        kept = database.execute("SELECT count(*) FROM similar WHERE product='p1' OR ids LIKE '%p1%'").fetchone()
        assert kept == (0,), "what is deleted is gone, also from lists"
