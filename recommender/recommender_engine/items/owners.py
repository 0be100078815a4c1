"""Commands that owners and the Celery consumer append, so that the log has what happens outside of the stream."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recommender_engine.items.command import Command
from recommender_engine.items.values import Id, Position, Sentence


class TickClock(Command):
    """Appended by the owner when something falls due on a quiet stream."""

    type: ClassVar = "clock.ticked"
    privileged: ClassVar = True


class QuarantineCommand(Command):
    """Appended by the owner, for the record: the command at ``entry`` ends every process that decides it.

    The owner rejects that command in its own place, which is earlier; this one has no outcome.

    Attributes:
        entry: position of the command.
        reason: what it does to a process, in a sentence.
    """

    type: ClassVar = "command.quarantined"
    privileged: ClassVar = True
    entry: Position
    reason: Sentence


class RefuseMessage(Command):
    """Appended for a message that did not come through the stream and is no command, or that could not be delivered.

    Attributes:
        source: ``celery``, the ``delivery`` of events to the user's task, the ``forward`` of a command to another
            partition, or a ``webhook``.
        code: the reason as a code.
        message: the reason in a sentence.
        payload: the message, truncated if it was too long.
        payload_encoding: how ``payload`` holds the bytes: as UTF-8 text, or in base64.
        payload_bytes: length of the message.
        item_id: the item it was about, if that can be read; ``collection`` is the collection of the item.
        command_type: type of the command that could not be forwarded.
    """

    type: ClassVar = "message.refused"
    privileged: ClassVar = True
    source: Literal["celery", "delivery", "forward", "webhook"]
    code: Literal[
        "invalid_key",
        "invalid_value",
        "missing_field",
        "not_accepted",
        "not_base64",
        "not_delivered",
        "not_json",
        "not_permitted",
        "not_unicode",
        "not_utf8",
        "too_deep",
        "too_large",
        "unknown_partition",
        "unknown_task",
        "wrong_arguments",
        "wrong_type",
    ]
    message: Sentence
    payload: str
    payload_encoding: Literal["utf-8", "base64"]
    payload_bytes: Annotated[int, Field(ge=0, lt=2**53)]
    item_id: Id | None = None
    collection: Id | None = None
    command_type: Annotated[str, Field(max_length=256)] | None = None
