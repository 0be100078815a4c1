"""Spans of commands that bring a trace context, where OpenTelemetry is installed (extra ``otel``)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from recommender_engine.items import EntryId, Event, ItemProcessed

try:
    from opentelemetry import trace
except ImportError:  # the extra is not installed
    trace = None  # type: ignore[assignment]

_MOST = 10_000  # that wait for publication; of more, as while the server is away, the oldest get no span


class _Decided(NamedTuple):
    """A command whose events are committed and not published yet; times in nanoseconds since 1970."""

    event: Event
    began_ns: int
    committed_ns: int


class Spans:
    """Makes a span from the append of a command to the publication of its events, and in it one for its decision.

    A span has no text and no id of an item. Commands without a trace context have none.

    Args:
        partition: of the owner.
    """

    def __init__(self, partition: str) -> None:
        self._partition = partition
        self._tracer = None if trace is None else trace.get_tracer("celery_recommender")
        self._decided: deque[_Decided] = deque(maxlen=_MOST)

    def committed(self, events: Iterable[Event], seconds: float) -> None:
        """A batch has been committed, which has taken so long."""
        if self._tracer is None:
            return
        first: dict[str, Event] = {}
        for event in events:
            if event.traceparent is not None and not event.silent:
                first.setdefault(event.data.command.id, event)
        now_ns = time.time_ns()
        self._decided.extend(_Decided(event, now_ns - int(seconds * 1e9), now_ns) for event in first.values())

    def published(self) -> None:
        """The events of all of them are in the stream."""
        while self._decided:
            self._end(self._decided.popleft(), time.time_ns())

    def _end(self, one: _Decided, now_ns: int) -> None:
        data = one.event.data
        appended_ns = min(EntryId.parse(data.command.id).ms * 1_000_000, one.began_ns)
        attributes: dict[str, Any] = {
            "messaging.system": "redis",
            "messaging.operation.type": "process",
            "messaging.message.id": data.command.id,
            "recommender.partition": self._partition,
            "recommender.event.type": data.type,
        }
        if isinstance(data, ItemProcessed):
            attributes |= {"recommender.collection": data.collection, "recommender.band": data.band.value}
        whole = self._tracer.start_span(
            "recommender command",
            _context(one.event.traceparent),
            kind=trace.SpanKind.CONSUMER,
            attributes=attributes,
            start_time=appended_ns,
        )
        decided = self._tracer.start_span(
            "recommender decide", trace.set_span_in_context(whole), start_time=one.began_ns
        )
        if isinstance(data, ItemProcessed):
            decided.set_attribute("recommender.embed_ms", data.timings.embed_ms)
            decided.set_attribute("recommender.decide_ms", data.timings.decide_ms)
        decided.end(one.committed_ns)
        whole.end(now_ns)


def _context(traceparent: str | None) -> Any:
    """The span of the producer as a parent; the text has been checked when the command was read."""
    _, trace_id, span_id, flags = (traceparent or "").split("-")
    remote = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(trace.NonRecordingSpan(remote))
