"""What was logged: event names with their keys."""

from __future__ import annotations

import logging
from typing import Any

import pytest

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "event"}


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    """Events in order, each with its keys."""
    return [(getattr(record, "event", None) or record.getMessage(), _keys(record)) for record in caplog.records]


def _keys(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
