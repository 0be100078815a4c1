"""From the table into the stream."""

from __future__ import annotations

import json
import time

from django.db import transaction
from redis.exceptions import RedisError

from celery_recommender.broker.commands.admission import Overloaded
from celery_recommender.django.connection import client
from celery_recommender.django.models import PendingCommand
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.event_log import event_log

log = event_log(__name__)

_PAUSE_S = 5.0
_BLOCK = 200

FAILURES = (RedisError, OSError, Overloaded, ConfigurationError)
"""Why commands may stay in the table."""

_not_before: dict[str, float] = {}


def send_pending(using: str = "default", blocks: int | None = None) -> int:
    """Send what is in the table of a database, or a number of blocks of it; returns how many commands were sent.

    Several processes may do so at once: a command that two of them send has one effect, and its version keeps a late
    one from undoing a newer one.

    Raises:
        RedisError: the server does not answer; what was not sent is still there.
        Overloaded: too much waits in the stream; likewise.
        ConfigurationError: no server is named; likewise.
    """
    sent = read = 0
    while (blocks is None or read < blocks) and (
        rows := list(PendingCommand.objects.using(using).order_by("pk")[:_BLOCK])
    ):
        read += 1
        done = []
        try:
            for row in rows:
                sent += _send(row)
                done.append(row.pk)
        finally:
            PendingCommand.objects.using(using).filter(pk__in=done).delete()
    return sent


def _send(row: PendingCommand) -> bool:
    """Send one. What the stream would never take is dropped (``False``): it must not keep the others waiting."""
    try:
        client().send(row.type, {**json.loads(row.data), "version": row.version}, key=str(row.key))
        return True
    except (InvalidCommand, ValueError) as error:
        log.error("django.dropped", extra={"command": str(row), "error": str(error)})
        return False


def send_soon(using: str) -> None:
    """Send what is in the table, after a commit. A server that does not answer is left alone for some seconds."""
    if time.monotonic() < _not_before.get(using, 0.0) or transaction.get_connection(using).in_atomic_block:
        return
    try:
        send_pending(using, blocks=1)
    except FAILURES as error:
        _not_before[using] = time.monotonic() + _PAUSE_S
        log.warning("django.not_sent", extra={"error": f"{type(error).__name__}: {error}", "database": using})
