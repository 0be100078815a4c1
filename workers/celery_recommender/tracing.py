"""Trace context of W3C, as text: https://www.w3.org/TR/trace-context/. OpenTelemetry is not imported here."""

from __future__ import annotations

import re
import sys

_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def current_traceparent() -> str | None:
    """The span that the caller is in, if its process uses OpenTelemetry.

    Returns:
        Version, trace id, span id and flags in hexadecimal, 55 characters.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def valid_traceparent(raw: bytes) -> str | None:
    """What a producer wrote, if it is one of version 00; anything else costs the trace, and not the message."""
    return raw.decode() if _TRACEPARENT.fullmatch(raw) else None
