"""Who waits for an outcome, and what to tell them."""

from __future__ import annotations

import json
from typing import Any

from recommender import Recommender
from recommender.store import OutboxRow, Reply
from workers.owner.courier import ReplyJob

MOST_COMMANDS = 1000
"""Commands that one reply may answer."""


def reply_address(task_id: str, commands: int | None = None) -> str:
    """The ``reply_to`` of a command: for a list of commands how many they are (0 for none), and the task id."""
    return f"{commands or 0} {task_id}"


def command_key(task_id: str, place: int) -> str:
    """The key of one of many commands of a task."""
    return f"{task_id} {place}"


def resolve_reply(reply: Reply, engine: Recommender) -> ReplyJob:
    """Collect the outcomes that the caller waits for.

    The caller's address stands on its last command only; the log's order makes sure that the outcomes of those before
    it are there.
    """
    number, _, task_id = reply.reply_to.partition(" ")  # a task id may hold anything
    count = int(number) if number.isdecimal() else 0
    if not 0 < count <= MOST_COMMANDS:
        return ReplyJob(reply.position, task_id, (_data(reply.outcome),), many=False)
    found = (engine.outbox.outcome_of(command_key(task_id, place), reply.position.ms) for place in range(count))
    rows = [engine.outbox.get(id_) for id_ in found if id_ is not None]
    return ReplyJob(reply.position, task_id, tuple(_data(row) for row in rows if row is not None), many=True)


def _data(row: OutboxRow) -> dict[str, Any]:
    event = json.loads(row.event)
    return {"type": row.type, **event.get("data", {})}
