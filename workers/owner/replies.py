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


def task_of(reply: Reply) -> str:
    """The id of the task that waits."""
    return reply.reply_to.partition(" ")[2]  # a task id may hold anything


def resolve_reply(reply: Reply, engine: Recommender) -> ReplyJob:
    """Collect the outcomes that the caller waits for.

    The caller's address stands on its last command only; the log's order makes sure that the outcomes of those before
    it are there.
    """
    number, _, task_id = reply.reply_to.partition(" ")
    count = int(number) if number.isdecimal() else 0
    if not 0 < count <= MOST_COMMANDS:
        return ReplyJob(reply.id, task_id, (_data(reply.outcome),), many=False)
    rows = (engine.outbox.answer(command_key(task_id, place), reply.outcome.id.ms) for place in range(count))
    return ReplyJob(reply.id, task_id, tuple(_data(row) for row in rows if row is not None), many=True)


def _data(row: OutboxRow) -> dict[str, Any]:
    """What the caller gets: the data of the event, without what the caller itself has sent."""
    data = json.loads(row.event)["data"]
    return {"type": row.type, **{name: value for name, value in data.items() if name != "payload"}}
