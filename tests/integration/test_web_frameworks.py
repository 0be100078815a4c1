"""``examples/fastapi-tickets`` and ``examples/flask-shop``: one server, one worker of ours, and the shop's own."""

from __future__ import annotations

import importlib
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn

from celery_recommender.broker.redis.connections import celery_url
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.integration.conftest import Owners
from tests.support.processes import ROOT, WorkerProcess
from tests.support.receivers import SECRET
from tests.support.servers import Server
from tests.support.waiting import wait_until

pytest.importorskip("flask")
pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

FASTAPI, FLASK = ROOT / "examples" / "fastapi-tickets", ROOT / "examples" / "flask-shop"


@contextmanager
def example(folder: Path, name: str) -> Iterator[ModuleType]:
    """The module of an example, imported for one test."""
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name, None)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the example to listen")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def test_both_examples_store_show_and_are_told_also_after_an_outage(
    server: Server,
    settings: Settings,
    tmp_path: Path,
    owner_process: Owners,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECOMMENDER_REDIS_URL", celery_url(server.url))
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TICKETS_DATABASE", str(tmp_path / "tickets.sqlite3"))
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.sqlite3"))
    place = {"directory": FLASK, "environment": {"SHOP_DATABASE": str(tmp_path / "shop.sqlite3")}}
    own = settings.replaced(redis_url=celery_url(server.url))
    with (
        example(FASTAPI, "tickets") as tickets,
        example(FLASK, "flask_shop") as shop,
        serving(tickets.app) as address,
        WorkerProcess("flask_shop.celery", own, tmp_path / "shop.log", ["--concurrency=1"], **place) as shop_worker,
        httpx.Client(base_url=address, timeout=30, follow_redirects=True) as browser,
    ):
        shop_worker.start()
        (endpoint,) = tomllib.loads((FASTAPI / "webhooks.toml").read_text())["endpoint"]
        assert endpoint["url"] == "http://127.0.0.1:8000/hooks/recommender"
        hooks = tmp_path / "webhooks.toml"
        hooks.write_text((FASTAPI / "webhooks.toml").read_text().replace("http://127.0.0.1:8000", address))
        owner_process(
            changes={"webhooks": hooks, "webhook_secret": SECRET, "deliver_task": "flask_shop.on_event"}
        ).running()
        buyer = shop.app.test_client()

        first, second = "The printer in room 12 is on fire", "The printer in room 12 burns"
        assert first in browser.post("/tickets", data={"text": first}).text
        buyer.post("/products", data={"title": first})
        server.kill()
        assert second in browser.post("/tickets", data={"text": second}).text, "stored, without a server"
        assert buyer.post("/products", data={"title": second}, follow_redirects=True).status_code == 200
        assert browser.post("/tickets", data={"text": first}).status_code == 200
        buyer.post("/products", data={"title": first})
        server.start()
        wait_until(lambda: f"<li>{first}</li>" in browser.get("/tickets/2").text, "the page to show a similar ticket")
        wait_until(lambda: first in shown(buyer, 2).partition("<ul>")[2], "the page to show a similar product")
        wait_until(lambda: "same as" in browser.get("/tickets/3").text, "the verdict by webhook")
        wait_until(lambda: "same as 1" in shown(buyer, 3), "the verdict by task")
        assert browser.post("/hooks/recommender", content=b"{}").status_code == 401
        assert browser.post("/tickets", data={"text": "<b>"}).text.startswith("<h1>&lt;b&gt;</h1>")
        shop.background.shutdown()
        shop.client.close()
        tickets.client.close()


def shown(buyer: Any, id_: int) -> str:
    return str(buyer.get(f"/products/{id_}").text)
