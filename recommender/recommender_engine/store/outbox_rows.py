"""What the outbox holds: events, the first uses of keys, callers that wait."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CommandRejected, EntryId


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event as it is to be published: byte for byte the same at every attempt.

    Attributes:
        id: its entry id.
        type: of the event.
        event: as JSON.
        payload: what its dead letter holds besides.
    """

    id: EntryId
    type: str
    event: str
    payload: bytes | None = None


class KeyUse(NamedTuple):
    """The first use of a key.

    Attributes:
        outcome: the event that answers the command.
        digest: of what the command says; empty where the key alone tells, or the digest is not known.
    """

    outcome: EntryId
    digest: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A caller that waits: a number that grows with the order of commands, its address, and the outcome."""

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
