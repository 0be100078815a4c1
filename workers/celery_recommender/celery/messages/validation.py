"""Validation of messages to the owner's Celery queue, before anything in them is acted on.

Celery and its transports take what they find: one message whose body is no base64 ends every worker that takes it, and
others vanish with a line in the log. Everything is checked here first; what is wrong is raised as ``InvalidCommand``.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from celery.app.task import Context
from kombu.exceptions import ContentDisallowed
from kombu.message import Message
from kombu.utils import json
from pydantic import TypeAdapter, ValidationError

from celery_recommender.celery.messages.unpacking import decompressed, is_protocol_1, protocol_2
from recommender_engine.errors import InvalidCommand
from recommender_engine.items.values import Id

MOST_BYTES = 32 * 1024 * 1024
"""Largest message that is looked at: a thousand items of more than twenty kilobytes each."""

_DEEPEST = 100
_ID: TypeAdapter[str] = TypeAdapter(Id)
_IDS = ("id", "root_id", "parent_id", "group", "correlation_id", "reply_to")
_COUNTS = ("retries", "group_index", "replaced_task_nesting")
_MOST = 10_000
_TYPES: dict[str, type] = {
    **dict.fromkeys(_COUNTS, int),
    "ignore_result": bool,
    "timelimit": list,
    "stamps": dict,
    "stamped_headers": list,
    "shadow": str,
    "eta": str,
    "expires": str,
    "argsrepr": str,
    "kwargsrepr": str,
    "lang": str,
    "origin": str,
}
_EMBEDDED = frozenset({"callbacks", "errbacks", "chain", "chord"})
# Headers become attributes of the request, beside and above its own. Those that Celery does not send may have any name
# but one that means something there.
_RESERVED = frozenset(dir(Context)) - {"task", *_IDS, *_TYPES}


class Envelope(dict[str, Any]):
    """A message as kombu's virtual transports take it, with the bytes it was read from."""

    def __init__(self, value: Mapping[str, Any], raw: bytes) -> None:
        super().__init__(value)
        self.raw = raw


class Call(NamedTuple):
    """The request in a message.

    Attributes:
        task: name.
        args: positional arguments.
        kwargs: keyword arguments.
    """

    task: str
    args: list[Any]
    kwargs: dict[str, Any]


def open_envelope(raw: bytes, queue: str, tag: str) -> Envelope:
    """Read an entry of a list of the Redis transport; uncompressed, and in protocol 2.

    Address and tag are ours, whatever the message says: with them it is put back if need be, and told from others.

    Args:
        raw: the bytes.
        queue: where they stood.
        tag: unique.

    Raises:
        InvalidCommand: kombu could not take it, or should not.
    """
    value = _parsed(raw)
    headers, properties = value.get("headers"), value.get("properties")
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        raise InvalidCommand("missing_field", "no message of Celery's: it needs headers and properties")
    _check_body(value.get("body"), properties.get("body_encoding"))
    if properties.get("body_encoding") == "base64":
        value = _in_one_shape(value, headers)
    address = {"exchange": "", "routing_key": queue}
    properties = {**properties, "delivery_tag": tag, "delivery_info": address}
    return Envelope({**value, "properties": properties}, raw)


def check_message(message: Message, tasks: Collection[str]) -> Call:
    """Look into a message before Celery does.

    Args:
        message: from any transport.
        tasks: names of tasks that may be called.

    Raises:
        InvalidCommand: it is no call of such a task, or holds something that Celery would stumble over.
    """
    headers: Any = message.headers
    task = headers.get("task") if isinstance(headers, dict) else None
    if not isinstance(task, str):
        raise InvalidCommand("missing_field", "no task message of Celery's protocol 2", "headers.task")
    if task not in tasks:
        raise InvalidCommand("unknown_task", f"no task of ours is called {task[:64]!r}", "headers.task")
    _check_headers({**headers, **_named(message.properties, ("correlation_id", "reply_to"))})
    return _call(task, _payload(message))


def check_arguments(call: Call, run: Any) -> None:
    """See whether the task takes the arguments; raises ``InvalidCommand`` if not."""
    try:
        inspect.signature(run).bind(*call.args, **call.kwargs)
    except TypeError as error:
        raise InvalidCommand("wrong_arguments", f"{call.task}: {error}") from None


def _parsed(raw: bytes) -> dict[str, Any]:
    if len(raw) > MOST_BYTES:
        raise InvalidCommand("too_large", f"{len(raw)} bytes; at most {MOST_BYTES} are accepted")
    try:
        value = json.loads(raw.decode())  # type: ignore[no-untyped-call]
    except UnicodeDecodeError as error:
        raise InvalidCommand("not_utf8", f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidCommand("too_deep", f"nested deeper than {_DEEPEST} levels") from None
    except Exception as error:  # the decoder makes dates and the like of some objects
        raise InvalidCommand("not_json", f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidCommand("wrong_type", "a message is a JSON object")
    _check_depth(value)
    return value


def _check_body(body: object, encoding: object) -> None:
    if not isinstance(body, str):
        raise InvalidCommand("wrong_type", "the body must be text", "body")
    if encoding not in ("base64", "utf-8", None):
        raise InvalidCommand("not_accepted", "the body must be in base64", "properties.body_encoding")
    if encoding == "base64":
        try:
            base64.b64decode(body, validate=True)
        except ValueError:
            raise InvalidCommand("not_base64", "the body is no base64", "body") from None


def _in_one_shape(value: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    """The same message uncompressed, and in protocol 2."""
    body, headers = base64.b64decode(value["body"]), dict(headers)
    if kind := headers.pop("compression", None):
        body = decompressed(body, kind, MOST_BYTES)
    if "task" not in headers and value.get("content-type") == "application/json":
        try:
            decoded = json.loads(body.decode())  # type: ignore[no-untyped-call]
        except Exception:  # what is wrong with it is said where bodies are read
            decoded = None
        if is_protocol_1(headers, decoded):
            more, parts = protocol_2(decoded)
            headers, body = {**headers, **more}, json.dumps(parts).encode()  # type: ignore[no-untyped-call]
    return {**value, "headers": headers, "body": base64.b64encode(body).decode()}


def _payload(message: Message) -> Any:
    try:
        payload = message.decode()  # type: ignore[no-untyped-call]
    except ContentDisallowed:
        raise InvalidCommand("not_accepted", "the body must be JSON", "content-type") from None
    except RecursionError:
        raise InvalidCommand("too_deep", f"nested deeper than {_DEEPEST} levels", "body") from None
    except Exception as error:
        raise InvalidCommand("not_json", f"the body is not JSON: {error}", "body") from None
    _check_depth(payload)
    return payload


def _call(task: str, payload: Any) -> Call:
    match payload:
        case [list(args), dict(kwargs), dict() | None as embed]:
            _check_embed(embed or {})
            return Call(task, args, kwargs)
        case _:
            raise InvalidCommand("wrong_type", "the body must be [arguments, keyword arguments, what follows]", "body")


def _check_headers(headers: Mapping[str, Any]) -> None:
    if reserved := sorted(_RESERVED.intersection(headers)):
        raise InvalidCommand("not_accepted", f"no header may be called {reserved[0]!r}", f"headers.{reserved[0]}")
    given = {name: value for name, value in headers.items() if value is not None}
    if "id" not in given:
        raise InvalidCommand("missing_field", "the task has no id", "headers.id")
    for name, value in given.items():
        if name in _IDS:
            _check_id(value, f"headers.{name}")
        elif name in _TYPES and type(value) is not _TYPES[name]:
            raise InvalidCommand("wrong_type", f"{name} must be {_TYPES[name].__name__}", f"headers.{name}")
        elif name in _COUNTS and not 0 <= value <= _MOST:
            raise InvalidCommand("invalid_value", f"{name} must be between 0 and {_MOST}", f"headers.{name}")
        elif name in ("eta", "expires"):
            _check_moment(value, f"headers.{name}")
    _check_lists(given.get("timelimit", [None, None]), given.get("stamped_headers", []))


def _check_lists(limits: list[Any], stamped: list[Any]) -> None:
    if len(limits) != 2 or not all(limit is None or type(limit) in (int, float) for limit in limits):
        raise InvalidCommand("wrong_type", "timelimit must be two numbers", "headers.timelimit")
    if not all(isinstance(name, str) for name in stamped):
        raise InvalidCommand("wrong_type", "stamped_headers must be names", "headers.stamped_headers")


def _check_id(value: object, field: str) -> None:
    try:
        _ID.validate_python(value, strict=True)
    except ValidationError:
        raise InvalidCommand("invalid_value", "an id is printable text of 1 to 256 bytes", field) from None


def _check_moment(text: str, field: str) -> None:
    try:
        sensible = 1970 <= datetime.fromisoformat(text).year < 9000
    except ValueError:
        sensible = False
    if not sensible:
        raise InvalidCommand("invalid_value", "no valid date", field)


def _check_embed(embed: Mapping[str, Any]) -> None:
    """Callbacks must be calls of tasks, or Celery would fail on them after the task is done."""
    if unknown := sorted(embed.keys() - _EMBEDDED):
        raise InvalidCommand("not_accepted", f"nothing called {unknown[0][:64]!r} may follow a task", "body")
    for name in ("callbacks", "errbacks", "chain"):
        calls = embed.get(name)
        if calls is not None and not (isinstance(calls, list) and all(map(_is_signature, calls))):
            raise InvalidCommand("wrong_type", f"{name} must be a list of signatures", name)
    if embed.get("chord") is not None and not _is_signature(embed["chord"]):
        raise InvalidCommand("wrong_type", "chord must be a signature", "chord")


def _is_signature(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("task"), str)
        and isinstance(value.get("args", []), list)
        and isinstance(value.get("kwargs", {}), dict)
        and isinstance(value.get("options", {}), dict)
        and isinstance(value.get("subtask_type"), str | None)
    )


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for one in level if isinstance(one, dict | list) for child in _children(one)]
        if not level:
            return
    raise InvalidCommand("too_deep", f"nested deeper than {_DEEPEST} levels")


def _children(value: dict[str, Any] | list[Any]) -> Collection[Any]:
    return value.values() if isinstance(value, dict) else value


def _named(values: Any, names: Collection[str]) -> dict[str, Any]:
    return {name: values.get(name) for name in names} if isinstance(values, dict) else {}
