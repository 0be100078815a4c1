"""The HTTP API over a real server and a real worker."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from celery_recommender.broker.events.outcomes import is_outcome
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web import punctual
from celery_recommender.web.api.app import PREFIX
from celery_recommender.web.security import guard
from recommender_engine.items import START
from tests.integration.conftest import Owners
from tests.support.command_line import environment
from tests.support.pages import served
from tests.support.streams import KEYS

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

ONE = {"id": "T-1", "text": "The printer in room 12 is on fire since Monday", "collection": "tickets"}
OTHER = {**ONE, "id": "T-2"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def api(settings: Settings) -> Iterator[httpx.Client]:
    with served(settings) as address, httpx.Client(base_url=f"{address}{PREFIX}", timeout=60) as opened:
        yield opened


def test_a_shop_sends_asks_and_is_told_outcomes(owner_process: Owners, client: Client, api: httpx.Client) -> None:
    owner_process().running()
    first = api.post("/items", params={"wait": 30}, json=ONE)
    assert (first.status_code, first.json()["outcome"]["data"]["band"]) == (200, "new")
    copy = api.post("/items", params={"wait": 30}, json=OTHER, headers={"Idempotency-Key": "save-2"})
    assert copy.json()["outcome"]["data"]["duplicate_of"] == "T-1"
    again = api.post("/items", params={"wait": 30}, json=OTHER, headers={"Idempotency-Key": "save-2"})
    assert again.json()["outcome"] == copy.json()["outcome"], "a repeat has one effect, and the same answer"
    by_key = api.get("/outcomes", params={"key": again.json()["key"], "collection": "tickets"})
    assert by_key.json() == copy.json()["outcome"]
    assert api.get("/outcomes", params={"key": "never", "collection": "tickets"}).status_code == 404

    stored, missing = api.get("/items", params={"id": ["T-2", "T-3"], "collection": "tickets"}).json()
    assert (stored["duplicate_of"], missing) == ("T-1", None)
    hits = api.post("/search", json={"text": "printer", "collection": "tickets"}).json()
    assert [hit["id"] for hit in hits] == ["T-1"]
    bought = {"item": "T-1", "user": "ann", "kind": "buy", "collection": "tickets"}
    recorded = api.post("/interactions", params={"wait": 30}, json=bought)
    assert recorded.json()["outcome"]["data"]["kind"] == "buy"
    listed = api.post("/recommendations", json={"user": "bob", "collection": "tickets"})
    assert [one["id"] for one in listed.json()] == ["T-1"]
    assert api.post("/recommendations", json={"item": "T-9", "collection": "tickets"}).status_code == 404
    shown = {"recommendation_id": listed.json()[0]["recommendation_id"], "items": ["T-1"], "collection": "tickets"}
    assert api.post("/lists/shown", params={"wait": 30}, json=shown).json()["outcome"]["data"]["repeated"] is False
    assert [one["lists"] for one in api.get("/hits", params={"collection": "tickets"}).json()] == [1]
    assert api.get("/hits", params={"collection": "none"}).status_code == 404
    verdict = api.post("/compare", json={"one": {"id": "T-1"}, "other": {"id": "T-2"}, "collection": "tickets"})
    assert verdict.json()["band"] == "duplicate"

    wrong = {"id": "T-2", "answer": "different", "other": "T-1", "collection": "tickets", "by": "ann"}
    answered = api.post("/feedback", params={"wait": 30}, json=wrong)
    assert answered.json()["outcome"]["data"]["by"].endswith(": ann")
    unknown = api.post("/feedback", params={"wait": 30}, json={**wrong, "other": "T-9"})
    assert unknown.status_code == 200, "ignored, and told why"
    many = api.post("/items/bulk", json={"items": [{**ONE, "id": f"B-{number}"} for number in range(200)]})
    assert many.json()["appended"] == 200
    assert api.get("/health").json()[0]["state"] == "running"
    keys = [event["data"]["command"]["key"] for event in client.events_so_far(START) if is_outcome(event)]
    assert len([key for key in keys if key.endswith("/save-2")]) == 1


def test_without_an_owner_commands_are_kept_and_questions_say_so(client: Client, api: httpx.Client) -> None:
    sent = api.post("/items", params={"wait": 0.2}, json=ONE)
    assert (sent.status_code, "outcome" in sent.json()) == (202, False)
    asked = api.post("/search", json={"text": "printer"})
    assert (asked.status_code, asked.json()["error"]["code"]) == (503, "owner_away")
    assert int(asked.headers["retry-after"]) > 0


def test_a_full_stream_is_told_with_when_to_try_again(client: Client, settings: Settings) -> None:
    full = settings.replaced(most_waiting=1)
    with served(full) as address, httpx.Client(base_url=f"{address}{PREFIX}") as api:
        codes = [api.post("/items", json={**ONE, "id": str(number)}).status_code for number in range(5)]
        told = api.post("/items", json=ONE)
    assert 429 in codes
    assert (told.status_code, told.json()["error"]["code"]) == (429, "overloaded")
    assert int(told.headers["retry-after"]) > 0


def test_hostile_requests_are_refused_in_json(
    client: Client, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(status: int, code: str, method: str = "POST", path: str = "/items", **request: Any) -> None:
        told = api.request(method, path, **request)
        assert (told.status_code, told.json()["error"]["code"]) == (status, code), (path, request)

    refused(404, "not_found", path="/items%2Ferase", json={"id": "T-1"})
    refused(404, "not_found", path="/it%65ms%2Ferase", json=ONE)
    refused(422, "unknown_field", path="/items?wiat=5", json=ONE)
    refused(422, "unknown_field", path="/items?_method=DELETE&key=abc", json=ONE)
    refused(422, "unknown_field", "GET", "/items/list?colection=tickets")
    refused(422, "not_utf8", "GET", "/items?id=%ff")
    refused(422, "not_utf8", "GET", "/items?id=T-1&collection=%ed%a0%80")
    refused(415, "not_json", content=gzip.compress(b"{}"), headers={**JSON, "content-encoding": "gzip"})
    refused(431, "too_large", json=ONE, headers={"x-long": "a" * 40_000})
    refused(413, "too_large", content=b"x" * (2 << 20), headers=JSON)
    refused(403, "other_origin", json=ONE, headers={"origin": "http://evil.example"})
    refused(421, "unknown_host", json=ONE, headers={"host": "evil.example"})
    refused(422, "invalid_key", json=ONE, headers=[("idempotency-key", "a"), ("idempotency-key", "b")])
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    slow = b"POST /api/v1/items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    slow += b"Content-Length: 99\r\n\r\n{"
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=20) as connection:
        connection.sendall(slow)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 "), "answered before the body has ended"
    assert client.redis.xlen(KEYS.commands) == 0, "nothing was appended"


def test_a_connection_whose_headers_do_not_end_is_closed(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(punctual, "HEAD_S", 0.3)
    place = (api.base_url.host, api.base_url.port or 80)
    whole, half = (f"GET /livez HTTP/1.1\r\nHost: localhost\r\n{end}".encode() for end in ("\r\n", "X: "))
    with socket.create_connection(place, timeout=20) as silent, socket.create_connection(place, timeout=20) as second:
        second.sendall(whole)
        assert second.recv(65536).startswith(b"HTTP/1.1 ")
        second.sendall(half)
        for connection in (silent, second):
            while connection.recv(65536):
                pass  # until it is closed


def test_made_up_requests_get_no_server_error(owner_process: Owners, settings: Settings, tmp_path: Path) -> None:
    owner_process().running()
    with served(settings) as address:
        fuzz = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}{PREFIX}/openapi.json"]
        bounds = ["--checks", "not_a_server_error", "--max-examples", "8", "--phases", "coverage,fuzzing"]
        found = subprocess.run(
            [*fuzz, *bounds, "--seed", "7", "--request-timeout", "30", "--no-color", "--generation-database", "none"],
            cwd=tmp_path,
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=240,
        )
        document = httpx.get(f"{address}{PREFIX}/openapi.json").json()
    operations = sum(len(path) for path in document["paths"].values())
    assert f"Tested: {operations}" in found.stdout, found.stdout[-6000:]
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
