"""The app of ``owner_app`` in a process that writes its spans to the file ``SPANS``."""

import os
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

_file = Path(os.environ["SPANS"]).open("a", buffering=1)  # noqa: SIM115 (open as long as the process)
_provider = TracerProvider()
_provider.add_span_processor(
    SimpleSpanProcessor(ConsoleSpanExporter(out=_file, formatter=lambda span: span.to_json(indent=None) + "\n"))
)
trace.set_tracer_provider(_provider)

from tests.support.owner_app import app as app  # noqa: E402
