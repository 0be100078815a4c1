from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Counter

from celery_recommender.owner.telemetry.health import serve_health
from celery_recommender.owner.telemetry.status import Status
from tests.support.servers import free_port

HOST = "127.0.0.1"


class Owner:
    """What the server is asked about."""

    def __init__(self) -> None:
        self.port = free_port()
        self.registry = CollectorRegistry()
        self.status = Status(stall_after_s=0.05)

    def fetch(self, path: str) -> tuple[int, str, str]:
        connection = HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read().decode()
        finally:
            connection.close()


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    stop = serve_health(HOST, owner.port, owner.registry, owner.status)
    yield owner
    stop()
    with pytest.raises(ConnectionRefusedError, match="refused"):
        owner.fetch("/healthz")


def test_metrics_are_those_of_the_registry(owner: Owner) -> None:
    Counter("commands", "Commands.", registry=owner.registry).inc(3)
    status, content_type, text = owner.fetch("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    assert "commands_total 3.0" in text


def test_an_owner_with_nothing_to_do_is_healthy(owner: Owner) -> None:
    owner.status.update(state="running", items=7)
    owner.status.rest()
    status, content_type, text = owner.fetch("/healthz")
    assert (status, content_type) == (200, "application/json")
    assert {"healthy": True, "state": "running", "items": 7, "waiting_s": 0.0}.items() <= json.loads(text).items()


def test_an_owner_that_makes_no_progress_is_not(owner: Owner) -> None:
    owner.status.working()
    while owner.fetch("/healthz")[0] == 200:
        owner.status.working()  # the clock runs from the first time
    assert json.loads(owner.fetch("/healthz")[2])["healthy"] is False
    owner.status.rest()
    assert owner.fetch("/healthz")[0] == 200


def test_it_is_live_while_it_starts_and_ready_once_it_decides(owner: Owner) -> None:
    assert owner.fetch("/livez")[0] == 200
    status, content_type, text = owner.fetch("/readyz")
    assert (status, content_type) == (503, "application/json")
    assert json.loads(text) == {"ready": False, "role": None, "state": "starting", "reason": "state is starting"}
    owner.status.update(state="running")
    assert json.loads(owner.fetch("/readyz")[2]) == {"ready": True, "role": "owner", "state": "running"}
    owner.status.working()
    while owner.fetch("/readyz")[0] == 200:
        owner.status.working()
    assert json.loads(owner.fetch("/readyz")[2])["reason"] == "commands wait, and none is decided"
    status, _, text = owner.fetch("/livez")
    assert (status, json.loads(text)["live"]) == (503, False)


def test_a_standby_is_ready_as_a_standby(owner: Owner) -> None:
    owner.status.update(state="standby")
    status, _, text = owner.fetch("/readyz")
    assert (status, json.loads(text)) == (200, {"ready": True, "role": "standby", "state": "standby"})


def test_other_paths_are_not_there(owner: Owner) -> None:
    assert owner.fetch("/")[0] == 404
    assert owner.fetch("/metrics/")[0] == 404
