"""The Celery consumer of ``recommender worker``: a message that is no task of ours becomes a dead letter."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.worker.consumer.consumer import Consumer
from kombu.connection import Connection
from kombu.message import Message
from kombu.transport.redis import Transport

from celery_recommender.broker.commands.encoding import CommandFields, command_fields
from celery_recommender.broker.commands.refusals import payload_of, sentence
from celery_recommender.celery.consumer.safe_pop import guarded_transport
from celery_recommender.celery.messages.parts import PARTS
from celery_recommender.celery.messages.validation import MOST_BYTES, Call, Envelope, check_arguments, check_message
from celery_recommender.celery.tasks.commands import TASKS, CommandRefused, CommandTask
from recommender_engine.errors import InvalidCommand
from recommender_engine.event_log import event_log
from recommender_engine.items import ItemKey, RefuseMessage, claimed_item

log = event_log(__name__)

_LOOK_UP_EVERY_S = 0.1
_NAMES = frozenset(task.name for task in TASKS)

Append = Callable[[Sequence[CommandFields], dict[str, str]], None]


def guard(app: Celery, append: Append, names: Collection[str] = _NAMES) -> None:
    """Have a worker of ``app`` validate messages. To be called before the app is used.

    Args:
        app: an app of this package; apps of users are not touched.
        append: puts commands into the log; an exception means that they are not there.
        names: of the tasks that may be called.
    """
    guarded = GuardedConsumer(app, append, names)
    app.amqp_cls = _guarded_amqp(guarded)
    app.conf.worker_consumer = _guarded_consumer(guarded)


class GuardedConsumer:
    """Looks at messages and keeps what is refused.

    A refusal is a command on the log, ``message.refused``; its outcome is a rejection, and that a dead letter. Its key
    is made of the message, so that one which is delivered again is refused once.

    Args:
        app: its result backend informs callers.
        append: puts commands into the log.
        names: of the tasks that may be called.
    """

    def __init__(self, app: Celery, append: Append, names: Collection[str]) -> None:
        self._app = app
        self._append = append
        self._names = names

    def admit(self, message: Message) -> None:
        """Check a message. One with wrong arguments is kept and admitted: Celery informs its caller.

        Raises:
            InvalidCommand: it is not to be executed.
        """
        call = check_message(message, self._names)
        task = self._app.tasks[call.task]
        try:
            check_arguments(call, task.run)
            if isinstance(task, CommandTask) and (objection := task.objection(call.args, call.kwargs)):
                raise objection
        except InvalidCommand as error:
            self._keep(_raw(message), _identity(message), error, _about(call))

    def refuse_raw(self, raw: bytes, error: InvalidCommand) -> None:
        """Keep bytes that are no message, and tell the caller where one is named in them."""
        self._keep(raw, raw, error, None)
        self._tell(*_caller(raw), error)

    def refuse(self, message: Message, error: InvalidCommand) -> None:
        """Keep a message that is not to be executed, and tell its caller. Nothing else that it asks for is done."""
        self._keep(_raw(message), _identity(message), error, None)
        self._tell(_mapping(message.headers), _mapping(message.properties), error)

    def _keep(self, raw: bytes, identity: bytes, error: InvalidCommand, about: ItemKey | None) -> None:
        data = {
            "source": "celery",
            "code": error.code,
            "message": sentence(str(error)),
            **payload_of(raw),
            "item_id": about and about.id,
            "collection": about and about.collection,
        }
        key = f"celery {hashlib.sha256(identity).hexdigest()}"
        self._append([command_fields(RefuseMessage.type, data, key=key)], {})
        log.warning("celery.message_refused", extra={"code": error.code, "bytes": len(raw)})

    def _tell(self, headers: Mapping[str, Any], properties: Mapping[str, Any], error: InvalidCommand) -> None:
        task_id = headers.get("id") or properties.get("correlation_id")  # protocol 1 has it in a body that is not read
        if not isinstance(task_id, str) or not 0 < len(task_id) <= 256 or not task_id.isprintable():
            return
        if headers.get("ignore_result"):
            return
        try:
            # Without the request, so that no callback, errback or chord of the message is touched.
            self._app.backend.mark_as_failure(task_id, CommandRefused(error.code, str(error), error.field))
        except Exception as failure:
            log.warning("celery.caller_not_told", extra={"error": repr(failure)[:200]})


def _guarded_amqp(guarded: GuardedConsumer) -> type[AMQP]:
    transports: dict[type, type] = {}

    class GuardedConnection(Connection):
        def get_transport_cls(self) -> type:
            base: type = super().get_transport_cls()  # type: ignore[no-untyped-call]
            if not issubclass(base, Transport):
                return base  # other brokers hand over bytes and metadata apart, and lose nothing
            return transports.setdefault(base, guarded_transport(base, guarded.refuse_raw))

    return type("GuardedAmqp", (AMQP,), {"Connection": GuardedConnection})


class _PromptConsumer(Consumer):
    """Takes the next message as soon as one is done, also where kombu's event loop is not woken by other threads."""

    _look: Any = None

    def call_soon(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        """Acknowledge. Without an event loop Celery before 5.7 waits with it for the next message or an empty wait."""
        if PARTS.acknowledges_at_once or self.hub:
            return super().call_soon(p, *args, **kwargs)
        p(*args, **kwargs)
        return p

    def register_with_event_loop(self, hub: Any) -> None:
        """Let the event loop look up often: its next timer may be ten seconds away, and no message asked for."""
        super().register_with_event_loop(hub)
        if not PARTS.wakes_loop:
            if self._look is not None:
                self._look.cancel()
            self._look = hub.call_repeatedly(_LOOK_UP_EVERY_S, _nothing)


def _nothing() -> None:
    pass


def _guarded_consumer(guarded: GuardedConsumer) -> type[Consumer]:
    class GuardedConsumer(_PromptConsumer):
        """Celery's consumer, but for messages that it would drop."""

        def create_task_handler(self, *args: Any) -> Callable[[Message], None]:
            handle = super().create_task_handler(*args)

            def on_task_received(message: Message) -> None:
                try:
                    guarded.admit(message)
                    handle(message)
                except InvalidCommand as error:
                    self._refuse(message, error)
                except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                    # An unexpected error. It would end the worker, or repeat without end.
                    name = type(error).__name__
                    self._refuse(message, InvalidCommand("invalid_value", f"Celery fails on the message: {name}"))

            return on_task_received

        def on_unknown_message(self, body: Any, message: Message) -> None:
            self._refuse(message, InvalidCommand("missing_field", "no task message"))

        def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:
            self._refuse(message, InvalidCommand("unknown_task", "no task of ours"))

        def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
            self._refuse(message, InvalidCommand("invalid_value", f"Celery does not take the message: {exc}"))

        def on_decode_error(self, message: Message, exc: Exception) -> None:
            self._refuse(message, InvalidCommand("not_json", f"the body cannot be read: {exc}"))

        def _refuse(self, message: Message, error: InvalidCommand) -> None:
            guarded.refuse(message, error)
            message.reject_log_error(log, self.connection_errors)  # type: ignore[no-untyped-call]

    return GuardedConsumer


def _caller(raw: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Headers and properties of a message that could not be taken, as far as they can be read."""
    if len(raw) > MOST_BYTES:
        return {}, {}
    try:
        decoded = json.loads(raw)
        return _mapping(decoded["headers"]), _mapping(decoded["properties"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}, {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _raw(message: Message) -> bytes:
    """The message as it came, or as near to that as its transport lets us come."""
    envelope = getattr(message, "_raw", None)
    return envelope.raw if isinstance(envelope, Envelope) else _identity(message)


def _identity(message: Message) -> bytes:
    """The identity of a message, the same when it is delivered again."""
    headers: Any = message.headers
    named = {**headers, "redelivered": None} if isinstance(headers, dict) else repr(headers)
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode(errors="replace")
    return json.dumps([named, message.content_type, base64.b64encode(body).decode()], default=repr).encode()


def _about(call: Call) -> ItemKey | None:
    """The item that a call is about, if it is about one."""
    data = call.args[0] if call.args else call.kwargs.get("data")
    return claimed_item(json.dumps(data, default=repr).encode()) if isinstance(data, Mapping) else None
