"""A Celery producer whose publish appends to the commands stream.

Everything before it is Celery's own way of sending a task (ids, link, chain, group, chord, stamps, signals), so a call
of our task behaves as any other; only the last step differs. No broker is involved, and what the stream has taken is
not lost with a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from celery_recommender.celery.messages.requests import request_from_message
from celery_recommender.celery.messages.unpacking import is_protocol_1, protocol_2

Append = Callable[["SentTask"], None]


class SentTask:
    """A task call on its way into the log.

    Attributes:
        task_id: its id.
        args: positional arguments.
        kwargs: keyword arguments.
        expires_ms: wall-clock milliseconds after which it is not wanted any more, if it expires.
        request: its Celery request as JSON.
        ignore_result: whether the caller does not want its result.
    """

    def __init__(self, body: Any, headers: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
        if is_protocol_1(headers, body):  # the app's task_protocol is 1
            headers, body = protocol_2(body)
        self.args, self.kwargs, embed = body
        self.task_id = str(headers["id"])
        self.ignore_result = bool(headers.get("ignore_result"))
        self.expires_ms = _milliseconds(headers.get("expires"))
        self.request = request_from_message(headers, embed, properties)


class _Connection:
    """The part of a kombu connection that Celery's ``send_task`` touches."""

    recoverable_connection_errors: tuple[type[Exception], ...] = ()  # besides OperationalError

    @contextmanager
    def _reraise_as_library_errors(self) -> Iterator[None]:
        yield


class StreamProducer:
    """Stands in for ``kombu.Producer`` in ``Task.apply_async``.

    Args:
        append: puts the call into the log.
    """

    serializer = "json"

    def __init__(self, append: Append) -> None:
        self._append = append
        self.connection = _Connection()

    def revive(self, channel: Any) -> None:
        """Celery calls this before it tries again; our connection mends itself."""

    def publish(self, body: Any, headers: Mapping[str, Any], **properties: Any) -> None:
        """Append; errors of the server are those a broker would raise."""
        if isinstance(body, Mapping) and body.get("type") == "task-sent":
            return  # tells monitors that the broker was given the task, and it was not
        try:
            self._append(SentTask(body, headers, properties))
        except RedisError as error:
            raise OperationalError(str(error)) from error


def _milliseconds(moment: str | None) -> int | None:
    return None if not moment else int(datetime.fromisoformat(moment).timestamp() * 1000)
