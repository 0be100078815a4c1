"""Where outcomes go, and what is done with one that does not arrive: results, results that tasks follow, deliveries.

A broker or a result backend that is away is waited for. After any other error an outcome is given up after a few
attempts, so that nothing waits behind it without end: a result leaves an error in the log, a delivery becomes a dead
letter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from kombu.exceptions import OperationalError
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError, ResponseError

from celery_recommender.broker.commands.encoding import CommandFields, command_fields
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.owner.delivery.threads import DeliveryJob, Failure
from recommender_engine.event_log import event_log
from recommender_engine.items import CommandRejected, RefuseMessage
from recommender_engine.items.limits import MAX_SENTENCE_BYTES

log = event_log(__name__)

_AWAY_OF_CELERY = (ReadOnlyError, MasterDownError)  # on connections of Celery's; AWAY is about those that we make
_NOT_NOW = frozenset({"BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED"})
_ATTEMPTS = 3
_REPLY_ATTEMPTS = 20
LONGEST_WAIT_S = 10.0
_KEPT_CHARACTERS = 100_000
_MOST_ESCAPED_BYTES = 192 * 1024

Keep = Callable[[CommandFields], object]
"""Appends a command to the log; an exception means that it is not there."""


class ResultLane:
    """Results of tasks. One that its backend does not take lets the others pass, and is given up in the end.

    Args:
        name: of the lane.
        forget: drops the request of a task; an exception means that it is still there.
    """

    longest_wait_s = LONGEST_WAIT_S

    def __init__(self, name: str, forget: Callable[[str], object]) -> None:
        self.name = name
        self._forget = forget

    def failed(self, failure: Failure) -> bool:
        """Whether it is given up."""
        if is_away(failure.error) or failure.attempts < _REPLY_ATTEMPTS:
            return False
        task_id = str(getattr(failure.job, "task_id", ""))
        self._forget(task_id)
        log.error("delivery.gave_up", extra={"lane": self.name, "task_id": task_id, "error": failure.reason})
        return True

    def let_pass(self, failure: Failure) -> bool:
        """A backend that is away takes the others no better."""
        return not is_away(failure.error)


class DeliveryLane:
    """Calls of the user's task, in the order of the events. What cannot be sent becomes a dead letter.

    Args:
        keep: appends a command to the log of the partition.
        task: name of the task that is called.
        patience_s: for how long a broker that is away is waited for.
    """

    name = "deliveries"
    longest_wait_s = LONGEST_WAIT_S

    def __init__(self, keep: Keep, task: str, patience_s: float) -> None:
        self._keep = keep
        self._task = task
        self._patience_s = patience_s
        self._given_up = False

    def failed(self, failure: Failure) -> bool:
        """Whether it is a dead letter now. While nothing has arrived since the last one, one attempt is enough."""
        if failure.failing_s == 0.0:  # the first since something arrived
            self._given_up = False
        attempts = 1 if self._given_up else _ATTEMPTS
        if failure.failing_s < self._patience_s and (is_away(failure.error) or failure.attempts < attempts):
            return False
        job = failure.job
        if isinstance(job, DeliveryJob) and not is_dead_letter(job.event):
            reason = f"{self._task} was not called: {failure.reason}"
            text = json.dumps(job.event, ensure_ascii=False)
            self._keep(dead_letter("delivery", f"delivery {job.id}", text, job.event["data"], reason))
        log.error(
            "delivery.gave_up",
            extra={"lane": self.name, "task": self._task, "event_id": str(job.id), "error": failure.reason},
        )
        self._given_up = True
        return True

    def let_pass(self, failure: Failure) -> bool:
        """Events are delivered in their order."""
        return False


def is_away(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that a server is away: then waiting helps."""
    while error is not None:
        if isinstance(error, (OSError, *_AWAY_OF_CELERY, *AWAY)):
            return True
        if isinstance(error, ResponseError):
            return str(error).partition(" ")[0] in _NOT_NOW
        if isinstance(error, OperationalError) and not isinstance(error.__cause__, RedisError):
            return True  # another broker's
        error = error.__cause__
    return False


def is_dead_letter(event: Mapping[str, Any]) -> bool:
    """Whether an event is about a delivery that failed: no further dead letter is written for that."""
    return bool(event["type"] == CommandRejected.type and event["data"].get("source") in {"delivery", "webhook"})


def dead_letter(
    source: Literal["delivery", "webhook"], key: str, payload: str, about: Mapping[str, Any], reason: str
) -> CommandFields:
    """The command whose outcome is the dead letter.

    Args:
        source: what was to be delivered.
        key: of the command, so that there is only one.
        payload: what was to be sent; its beginning is kept if it is long.
        about: data of the event.
        reason: in a sentence.
    """
    size, text = len(payload.encode()), payload[:_KEPT_CHARACTERS]
    while len(json.dumps(text, ensure_ascii=False).encode()) > _MOST_ESCAPED_BYTES:
        text = text[: len(text) // 2]
    data = {
        "source": source,
        "code": "not_delivered",
        "message": reason.encode()[: MAX_SENTENCE_BYTES - 1].decode(errors="ignore"),
        "payload": text,
        "payload_encoding": "utf-8",
        "payload_bytes": size,
        "item_id": about.get("item_id"),
        "collection": about.get("collection") if about.get("item_id") is not None else None,
    }
    return command_fields(RefuseMessage.type, data, key=key)
