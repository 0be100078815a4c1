"""Chromium as Debian packages it, before a real server, a real worker and the page. Nothing is downloaded."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.pages import served
from tests.support.processes import ROOT, OwnerProcess
from tests.support.servers import Embedded, running
from tests.support.waiting import wait_until

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HERE = Path(__file__).parent
ARTIFACTS = HERE / "artifacts"
SAMPLES = ROOT / "workers/celery_recommender/samples"


def unavailable(reason: str) -> None:
    """A laptop may lack a browser; the machine that judges may not, where it could be installed."""
    if os.environ.get("CI") == "true" and shutil.which("apt-get"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class World:
    """A server, a worker with the samples, and the page.

    Attributes:
        address: of the page.
        client: sends and asks.
        settings: of all of them.
        owner: the worker.
        server: of the streams.
    """

    address: str
    client: Client
    settings: Settings
    owner: OwnerProcess
    server: Embedded


@dataclass
class Watched:
    """What a page did that it must not do."""

    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", lambda said: said.type == "error" and self.faults.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
            self.faults.append(f"request: {url}")


def sample_items(name: str) -> list[dict[str, Any]]:
    with (SAMPLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [
            {
                "id": row["id"],
                "collection": name,
                "fields": {"title": row["title"], "description": row["description"]},
                "attributes": {"product": row.get("product") or row.get("brand") or ""},
            }
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    embedded = Embedded(folder / "server")
    with running(embedded) as server:
        settings = Settings(redis_url=server.url, state_dir=folder / "state", encoder="torch-float32")
        with OwnerProcess(settings, folder / "owner.log") as owner, served(settings) as address:
            owner.running()
            client = Client(settings)
            items = sample_items("tickets") + sample_items("products")
            client.outcome(client.ingest_many(items)[-1], timeout_s=120)
            wait_until(lambda: (owner.status() or {}).get("lag") == 0, "everything to be decided", 120)
            yield World(address, client, settings, owner, embedded)
            client.close()


@pytest.fixture(scope="module")  # what drives it changes how deep Python counts calls: it must not outlive its tests
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        unavailable(f"needs {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=20_000)  # a busy machine
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Fails the test for an error in the console, a dialog, or a request that leaves the machine."""
    found = Watched()
    yield found
    assert found.faults == []


@pytest.fixture
def context(chromium: Browser, world: World) -> Iterator[BrowserContext]:
    opened = chromium.new_context(base_url=world.address, viewport={"width": 1200, "height": 800})
    opened.set_default_timeout(30_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, watched: Watched) -> Page:
    opened = context.new_page()
    watched.watch(opened)
    return opened


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    script = Path("node_modules/axe-core/axe.min.js")
    if (HERE / script).is_file():
        return (HERE / script).read_text()
    npm = shutil.which("npm")
    if npm is None:
        unavailable("needs npm")
    copy = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, copy)
    subprocess.run([str(npm), "ci", "--no-fund", "--no-audit"], cwd=copy, check=True, capture_output=True, timeout=120)
    return (copy / script).read_text()


def shot(page: Page, name: str) -> None:
    """Keep a picture of what is seen."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=str(ARTIFACTS / f"{name}.png"))
