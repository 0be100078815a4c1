"""Who waits for an outcome, and what to tell them."""

from __future__ import annotations

import json
from typing import Any

from recommender import Recommender
from recommender.store import OutboxRow, Reply
from workers.owner.courier import ReplyJob


def reply_address(task_id: str, commands: int | None = None) -> str:
    """The ``reply_to`` of a command: the task id, and for a list of commands how many they are."""
    return task_id if commands is None else f"{task_id} {commands}"


def command_key(task_id: str, place: int) -> str:
    """The key of one of many commands of a task."""
    return f"{task_id} {place}"


def resolve_reply(reply: Reply, engine: Recommender) -> ReplyJob:
    """Collect the outcomes that the caller waits for.

    The caller's address stands on its last command only; the log's order makes sure that the outcomes of those before
    it are there.
    """
    task_id, _, count = reply.reply_to.partition(" ")
    if not count.isdigit():
        return ReplyJob(reply.position, task_id, (_data(reply.outcome),), many=False)
    found = (engine.outbox.outcome_of(command_key(task_id, place), reply.position.ms) for place in range(int(count)))
    rows = [engine.outbox.get(id_) for id_ in found if id_ is not None]
    return ReplyJob(reply.position, task_id, tuple(_data(row) for row in rows if row is not None), many=True)


def _data(row: OutboxRow) -> dict[str, Any]:
    event = json.loads(row.event)
    return {"type": row.type, **event.get("data", {})}
