"""Rows of the outbox: events, first uses of keys, pending replies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CommandRejected, EntryId


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event in the form for publishing, identical to the byte at every attempt.

    Attributes:
        id: its entry id.
        type: of the event.
        event: the event as JSON.
        payload: additional content of its dead letter.
    """

    id: EntryId
    type: str
    event: str
    payload: bytes | None = None


class KeyUse(NamedTuple):
    """The first use of a key.

    Attributes:
        outcome: the event that answers the command.
        digest: of the content of the command; empty if the key alone decides, or the digest is not known.
    """

    outcome: EntryId
    digest: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A pending reply: a number that rises in the order of commands, the caller's address, and the outcome."""

    id: int
    reply_to: str
    outcome: OutboxRow


_GONE = InvalidCommand(
    "outcome_dropped", "the first command under this key counts, and its outcome is no longer kept", "key"
)
_OF_NOTHING = {"item_id": None, "collection": None, "command_type": ""}
DROPPED = (
    CommandRejected.type,
    json.dumps({"data": {"code": _GONE.code, "message": str(_GONE), "field": _GONE.field, **_OF_NOTHING}}),
)
"""Type and JSON for a caller whose outcome is gone from the outbox."""
