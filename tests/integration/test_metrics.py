"""``/metrics`` and ``/healthz`` of a running owner."""

from __future__ import annotations

import json
import signal
from http.client import HTTPConnection

import pytest
from prometheus_client.parser import text_string_to_metric_families

from celery_recommender.client import Client
from tests.integration.conftest import Owners
from tests.support.servers import free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


def fetch(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def samples(port: int) -> dict[tuple[str, str], float]:
    """Values by name and by the label beside the partition."""
    status, text = fetch(port, "/metrics")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name not in ("partition", "le")}
            found[sample.name, next(iter(labels.values()), "")] = sample.value
    return found


def test_an_owner_says_how_it_goes(client: Client, owner_process: Owners) -> None:
    port = free_port()
    owner = owner_process(changes={"metrics_port": port}).running()
    client.ingest_many({"id": f"i{n}", "text": f"text {n % 4}"} for n in range(9))
    client.outcome(client.ingest({"id": "bad"}))
    values = wait_until(
        lambda: (
            (found := samples(port))["recommender_commands_total", ""] == 10
            and found["recommender_index_points", "exact"] == 4
            and found["recommender_lag_commands", ""] == 0
            and found
        ),
        "ten commands to be counted",
    )
    assert values["recommender_items_total", "new"] + values["recommender_items_total", "duplicate"] <= 9
    assert values["recommender_items_total", "duplicate"] == 5
    assert values["recommender_rejected_total", "invalid_value"] == 1
    assert values["recommender_events_total", "recommender.item.processed.v1"] == 9
    assert values["recommender_unpublished_events", ""] == 0
    assert values["recommender_collection_items_total", "duplicate"] == 5
    assert 9 <= values["recommender_event_latency_seconds_count", ""] <= 10
    assert 0 < values["recommender_event_latency_seconds_sum", ""] < 600
    assert values["recommender_duplicate_share", "recent"] == pytest.approx(5 / 9)
    assert [fetch(port, path)[0] for path in ("/livez", "/readyz")] == [200, 200]
    status, text = fetch(port, "/healthz")
    health = json.loads(text)
    assert (status, health["healthy"], health["state"], health["pid"]) == (200, True, "running", owner.pid)
    assert fetch(port, "/")[0] == 404
    assert owner.terminate() == 0
    with pytest.raises(ConnectionRefusedError, match="refused"):
        fetch(port, "/healthz")


def test_an_owner_without_a_server_is_alive(client: Client, owner_process: Owners) -> None:
    """It waits for the server; restarting it would not help."""
    port = free_port()
    owner = owner_process(changes={"metrics_port": port, "redis_url": f"redis://127.0.0.1:{free_port()}/0"}).start()
    owner.until(lambda: "owner.server_away" in owner.output, "the owner to miss its server")
    status, text = fetch(port, "/healthz")
    assert (status, json.loads(text)["state"]) == (200, "starting")
    assert [fetch(port, path)[0] for path in ("/livez", "/readyz")] == [200, 503]
    owner.signal(signal.SIGTERM)
    assert owner.wait() == 0


def test_a_standby_is_ready_as_one_and_then_as_the_owner(client: Client, owner_process: Owners) -> None:
    port = free_port()
    first = owner_process("first").running()
    standby = owner_process("second", changes={"standby": True, "metrics_port": port}).start()
    standby.until(lambda: "owner.standing_by" in standby.output, "the second to stand by")
    status, text = fetch(port, "/readyz")
    assert (status, json.loads(text)) == (200, {"ready": True, "role": "standby", "state": "standby"})
    first.kill()
    standby.wait_ready()
    status, text = fetch(port, "/readyz")
    assert (status, json.loads(text)["role"]) == (200, "owner")
    assert client.outcome(client.ingest({"id": "a", "text": "one text"}))["type"] == "recommender.item.processed.v1"
