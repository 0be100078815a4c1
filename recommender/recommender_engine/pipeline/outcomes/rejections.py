"""Rejections: the event about a message that cannot be accepted, and its dead letter."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Literal, NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    Command,
    CommandRejected,
    Entry,
    RefuseMessage,
    RejectedCommand,
    claimed_item,
    limits,
    rejected_command,
)
from recommender_engine.pipeline.batch import cause

Encoding = Literal["utf-8", "base64"]
_MAX_FIELD_CHARS = 256
_CHARACTER_BYTES = 4


class Rejection(NamedTuple):
    """A rejection.

    Attributes:
        data: the event. Consumers get it, and the outbox keeps it: it holds the beginning of the message.
        payload: all of the message, as far as it was read, for the dead letter; ``None`` if the event has all of it.
    """

    data: CommandRejected
    payload: bytes | None


def rejected(entry: Entry, command: RejectedCommand) -> Rejection:
    """A message that is no command, or cannot be carried out."""
    about = claimed_item(command.payload)
    text, encoding = _shown(command.payload)
    data = CommandRejected(
        command=cause(entry),
        code=command.error.code,
        field=None if command.error.field is None else command.error.field[:_MAX_FIELD_CHARS],
        message=str(command.error)[: limits.MAX_SENTENCE_BYTES],
        item_id=None if about is None else about.id,
        collection=None if about is None else about.collection,
        command_type=command.type[:256],
        payload=text,
        payload_encoding=encoding,
        payload_bytes=command.size,
    )
    return Rejection(data, _rest(command.payload))


def refused_elsewhere(entry: Entry, command: RefuseMessage) -> Rejection:
    """A message that the Celery consumer, a delivery or a forward refused."""
    payload = _payload(command)
    text, encoding = _shown(payload)
    data = CommandRejected(
        command=cause(entry),
        code=command.code,
        field=None,
        message=command.message,
        item_id=command.item_id,
        collection=command.collection,
        command_type=command.command_type or command.type,
        payload=text,
        payload_encoding=encoding,
        payload_bytes=command.payload_bytes,
        source=command.source,
    )
    return Rejection(data, _rest(payload))


def refused(command: Command | RejectedCommand, error: InvalidCommand) -> RejectedCommand:
    """A command that could be read but not accepted."""
    if isinstance(command, RejectedCommand):
        return command
    return rejected_command(error, command.model_dump_json(exclude_unset=True).encode(), command.type)


def _payload(command: RefuseMessage) -> bytes:
    if command.payload_encoding == "base64":
        try:
            return base64.b64decode(command.payload)
        except binascii.Error:
            pass
    return command.payload.encode()


def _rest(payload: bytes) -> bytes | None:
    return payload if len(payload) > limits.MAX_SHOWN_BYTES else None


def _shown(payload: bytes) -> tuple[str, Encoding]:
    """The beginning of a message as text, or in Base64 where that is shorter: JSON takes six bytes for a character that
    cannot be printed."""
    beginning = payload[: limits.MAX_SHOWN_BYTES]
    in_base64 = base64.b64encode(beginning).decode()
    try:
        text = _decoded(beginning, whole=len(beginning) == len(payload))
    except UnicodeDecodeError:
        return in_base64, "base64"
    in_json = len(json.dumps(text, ensure_ascii=False).encode())
    return (text, "utf-8") if in_json <= len(in_base64) + 2 else (in_base64, "base64")


def _decoded(beginning: bytes, *, whole: bool) -> str:
    try:
        return beginning.decode()
    except UnicodeDecodeError as error:
        if whole or error.start < len(beginning) - _CHARACTER_BYTES + 1 or error.reason != "unexpected end of data":
            raise
        return beginning[: error.start].decode()  # the limit splits a character
