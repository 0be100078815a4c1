"""A trace from a producer's span to the spans of a real owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from celery_recommender.client import Client
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


def test_the_owner_continues_the_trace_of_a_producer(client: Client, owner_process: Owners, tmp_path: Path) -> None:
    file = tmp_path / "spans"
    owner = owner_process(app="tests.support.traced_app", environment={"SPANS": str(file)}).running()
    with TracerProvider().get_tracer("shop").start_as_current_span("save") as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
        position = client.ingest({"id": "a", "text": "a mug without a handle"})
    client.outcome(client.ingest({"id": "b", "text": "a mug without a handle"}))
    wait_until(lambda: file.exists() and file.read_text().count("\n") >= 2, "the spans")
    assert owner.terminate() == 0
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    assert [one["name"] for one in spans] == ["recommender decide", "recommender command"], "the second has no trace"
    assert {one["context"]["trace_id"] for one in spans} == {f"0x{trace_id}"}
    assert spans[1]["attributes"]["messaging.message.id"] == str(position)
    published = {
        event["data"]["item_id"]: event.get("traceparent", "")
        for event in client.events_so_far(EntryId(0, 0))
        if event["type"].startswith("recommender.item.")
    }
    assert trace_id in published["a"]
    assert published["b"] == ""
