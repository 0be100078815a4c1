"""Trace context from a producer through the log and the engine to event, delivery and spans."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.commands.log import decode
from celery_recommender.celery.worker.result_delivery import call_task
from celery_recommender.owner.telemetry.spans import Spans
from celery_recommender.settings import Settings
from recommender_engine import Entry, EntryId, Recommender, open_recommender
from recommender_engine.items import Event, ItemProcessed, RejectedCommand
from tests.support.engine import Models

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = PARENT[:-2] + "00"
START_MS = 1_764_000_000_000


def entry(number: int, *, traceparent: str | bytes | None = PARENT, text: str = "a mug without a handle") -> Entry:
    fields: dict[bytes, bytes] = {b"data": json.dumps({"id": f"i{number}", "text": text}).encode()}
    if traceparent is not None:
        fields[b"traceparent"] = traceparent.encode() if isinstance(traceparent, str) else traceparent
    return decode(EntryId(START_MS + number, 0), fields, START_MS)


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with contextlib.closing(open_recommender(None, Models())) as engine:
        yield engine


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans of a provider that only this test has."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def envelopes(events: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(event.to_json("/recommender/default")) for event in events]


def test_events_carry_the_context_of_their_command(engine: Recommender) -> None:
    events = engine.process([entry(1), entry(2, traceparent=NOT_SAMPLED), entry(3, traceparent=None)])
    assert len(events) > 3
    for one in envelopes(events):
        number = int(one["data"]["command"]["id"].split("-")[0]) - START_MS
        assert one.get("traceparent") == {1: PARENT, 2: NOT_SAMPLED, 3: None}[number]
    stored = [json.loads(row.event) for row in engine.outbox.after(EntryId(0, 0), 100)]
    assert [one.get("traceparent") for one in stored] == [one.get("traceparent") for one in envelopes(events)]


def test_a_command_without_one_has_the_event_that_it_always_had(engine: Recommender) -> None:
    (event, *_) = engine.process([entry(1, traceparent=None)])
    assert "trace" not in event.to_json("/recommender/default")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        PARENT.upper(),
        PARENT + "-more",
        PARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        PARENT + "\n",
        "x" * 500,
    ],
)
def test_a_context_that_is_none_costs_the_trace_and_not_the_message(text: str | bytes) -> None:
    read = entry(1, traceparent=text)
    assert read.traceparent is None
    assert not isinstance(read.command, RejectedCommand)


def test_a_command_for_another_partition_takes_it_along(engine: Recommender) -> None:
    from dataclasses import replace

    engine.process([replace(entry(1), elsewhere="b"), replace(entry(2, traceparent=None), elsewhere="b")])
    assert [one.command.get("traceparent") for one in engine.moves.forwards(10)] == [PARENT, None]


def test_a_producer_gives_the_span_that_it_is_in() -> None:
    assert "traceparent" not in command_fields("item.upsert", {"id": "a", "text": "b"})
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        context = span.get_span_context()
        given = command_fields("item.upsert", {"id": "a", "text": "b"})["traceparent"]
    assert given == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert context.trace_flags.sampled


def test_a_delivery_has_it_among_its_headers() -> None:
    calls: list[dict[str, Any]] = []

    class App:
        def send_task(self, name: str, **options: Any) -> None:
            calls.append(options)

    for event in ({"id": "1-0", "traceparent": PARENT}, {"id": "2-0"}):
        call_task(App(), Settings(deliver_task="a.b"), event)  # type: ignore[arg-type]
    assert [call["headers"] for call in calls] == [{"traceparent": PARENT}, None]


def test_a_span_goes_from_append_to_publication_and_holds_that_of_the_decision(
    engine: Recommender, exported: InMemorySpanExporter
) -> None:
    spans = Spans("default")
    entries = [entry(1), entry(2), entry(3, traceparent=None), entry(4, traceparent=NOT_SAMPLED)]
    events = engine.process(entries)
    spans.committed(events, seconds=0.25)
    assert exported.get_finished_spans() == ()
    spans.published()
    spans.published()
    found = exported.get_finished_spans()
    assert [span.name for span in found] == ["recommender decide", "recommender command"] * 2
    for place, (inner, outer) in enumerate((found[:2], found[2:])):
        assert f"{outer.context.trace_id:032x}" == PARENT.split("-")[1]
        assert outer.parent is not None
        assert f"{outer.parent.span_id:016x}" == PARENT.split("-")[2]
        assert inner.parent is not None
        assert inner.parent.span_id == outer.context.span_id
        assert outer.start_time == (START_MS + 1 + place) * 1_000_000
        assert outer.start_time < inner.start_time < inner.end_time <= outer.end_time
        assert inner.end_time - inner.start_time == 250_000_000
        (data,) = [
            event.data
            for event in events
            if isinstance(event.data, ItemProcessed) and event.data.item_id == f"i{1 + place}"
        ]
        assert outer.attributes == {
            "messaging.system": "redis",
            "messaging.operation.type": "process",
            "messaging.message.id": f"{START_MS + 1 + place}-0",
            "recommender.partition": "default",
            "recommender.event.type": "recommender.item.processed.v1",
            "recommender.collection": "default",
            "recommender.band": data.band.value,
        }


def test_an_owner_without_the_library_makes_no_spans(monkeypatch: pytest.MonkeyPatch, engine: Recommender) -> None:
    monkeypatch.setattr("celery_recommender.owner.telemetry.spans.trace", None)
    spans = Spans("default")
    spans.committed(engine.process([entry(1)]), 0.1)
    spans.published()
