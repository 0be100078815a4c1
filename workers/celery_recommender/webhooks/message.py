"""What an endpoint is sent of an event: whether anything, the body, the headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from celery_recommender.webhooks.endpoints import Endpoint
from celery_recommender.webhooks.signing import signed_headers
from celery_recommender.webhooks.slack import slack_message


def message_of(endpoint: Endpoint, event: Mapping[str, Any], text: str) -> bytes | None:
    """The body for an event; ``None``: the endpoint is not sent it.

    Args:
        endpoint: its filter and template.
        event: a CloudEvent.
        text: the same as JSON.
    """
    if endpoint.types and event["type"] not in endpoint.types:
        return None
    if endpoint.collections and event["data"].get("collection") not in endpoint.collections:
        return None
    return slack_message(event) if endpoint.template == "slack" else text.encode()


def headers_of(endpoint: Endpoint, event: Mapping[str, Any], body: bytes) -> dict[str, str]:
    """The headers of one attempt; ``webhook-id`` is the same at each.

    Args:
        endpoint: its keys sign the body.
        event: a CloudEvent; its id is unique in its partition.
        body: as it is sent.
    """
    partition = str(event["source"]).rpartition("/")[2]
    signed = signed_headers(f"{partition}:{event['id']}", int(time.time()), body, endpoint.keys)
    trace = {"traceparent": event["traceparent"]} if "traceparent" in event else {}
    return {"content-type": "application/json", "user-agent": "celery-recommender", **signed, **trace}
