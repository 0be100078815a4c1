"""A client whose errors name the command and the key that were refused, and nothing that was to be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from celery_recommender.broker.redis.received import entries, entries_by_stream

_WITH_SUBCOMMAND = frozenset({"XGROUP", "XINFO", "OBJECT", "MEMORY"})
_WITHOUT_KEYS = frozenset({"INFO", "PING", "TIME", "CLIENT", "CONFIG", "ACL", "MULTI", "EXEC", "SCRIPT", "DISCARD"})


class NamingRedis(Redis):
    """As redis-py's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.set_response_callback("XREAD", entries_by_stream)
        for command in ("XRANGE", "XREVRANGE"):
            self.set_response_callback(command, entries)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """As redis-py's."""
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            _name(error, args)
            raise

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> NamingPipeline:
        """As redis-py's."""
        return NamingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class NamingPipeline(Pipeline):
    """As redis-py's, which quotes the beginning of what was to be written."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """As redis-py's."""
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            _name(error, args)
            raise

    def annotate_exception(self, exception: RedisError, number: int, command: Sequence[Any]) -> None:
        """Name the command that failed."""
        text = exception.args[0] if exception.args else ""
        exception.args = (f"{text} ({concerning(command)})", *exception.args[1:])


def concerning(command: Sequence[Any]) -> str:
    """Name of a command and of its keys."""
    name, *arguments = [one for part in command[:1] for one in _text(part).split()] + list(command[1:])
    if name in _WITHOUT_KEYS:
        return str(name)
    if name in ("XREAD", "XREADGROUP"):
        words = [_text(one) for one in arguments]
        behind = words[words.index("STREAMS") + 1 :] if "STREAMS" in words else []
        keys = behind[: len(behind) // 2]
    elif name in ("EVAL", "EVALSHA"):
        keys = [_text(one) for one in arguments[2 : 2 + int(arguments[1])]]
    else:
        keys = [_text(one) for one in (arguments[1:2] if name in _WITH_SUBCOMMAND else arguments[:1])]
    return f"{name} {', '.join(keys)}".strip()


def _name(error: ResponseError, command: Sequence[Any]) -> None:
    text = str(error)
    if isinstance(error, NoPermissionError) or text.startswith("WRONGTYPE"):
        error.args = (f"{text} ({concerning(command)})",)


def _text(part: Any) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)
