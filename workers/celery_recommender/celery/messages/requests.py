"""The part of a Celery request that is kept while its command waits in the log, so that the outcome completes it:
result, link, chain, group, chord, errbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kombu.utils import json

_FIELDS = (
    "id",
    "task",
    "root_id",
    "parent_id",
    "group",
    "group_index",
    "chord",
    "chain",
    "callbacks",
    "errbacks",
    "reply_to",
    "correlation_id",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
)


def request_from_message(headers: Mapping[str, Any], embed: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """The request of a task that is being sent, as JSON."""
    everything = {**headers, **embed, **properties}
    return _dump({name: everything.get(name) for name in _FIELDS})


def request_from_context(context: Any) -> str:
    """The request of a task that is being executed, as JSON."""
    return _dump({name: getattr(context, name, None) for name in _FIELDS})


def load_request(text: bytes) -> dict[str, Any]:
    """Back from JSON, as Celery's tracer takes it."""
    request: dict[str, Any] = json.loads(text)  # type: ignore[no-untyped-call]
    return {**request, "delivery_info": {}, "retries": 0}


def _dump(request: dict[str, Any]) -> str:
    text: str = json.dumps({name: value for name, value in request.items() if value is not None})  # type: ignore[no-untyped-call]
    return text
