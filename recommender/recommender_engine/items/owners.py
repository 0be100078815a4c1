"""Commands that owners and their Celery door append, for what happens outside of the stream to stand on the log."""

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
    """Appended by another door than the stream: it was handed what is no command, or could not hand something on.

    Attributes:
        source: which door: ``celery``, the ``delivery`` of events to the user's task, or the ``forward`` of a command
            to another partition.
        code: why, in a word.
        message: the same in a sentence.
        payload: what it was handed, cut if it was too long.
        payload_encoding: how ``payload`` holds the bytes: as UTF-8 text, or in base64.
        payload_bytes: length of what it was handed.
        item_id: the item it was about, as far as that can be read; ``collection`` is where it lives.
        command_type: type of the command that could not be passed on.
    """

    type: ClassVar = "message.refused"
    privileged: ClassVar = True
    source: Literal["celery", "delivery", "forward"]
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
