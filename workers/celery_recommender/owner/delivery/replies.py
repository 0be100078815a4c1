"""Tasks that wait for an outcome, and the outcome that each gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery_recommender.owner.delivery.threads import ReplyJob
    from recommender_engine import Recommender
    from recommender_engine.store import OutboxRow, Reply

MOST_COMMANDS = 1000
"""Commands that one reply may answer."""


def reply_address(task_id: str, commands: int | None = None) -> str:
    """The ``reply_to`` of a command: for a list of commands how many they are (0 for none), and the task id."""
    return f"{commands or 0} {task_id}"


def command_key(task_id: str, index: int) -> str:
    """The key of one of many commands of a task, by its index."""
    return f"{task_id} {index}"


def task_of(reply: Reply) -> str:
    """The id of the task that waits."""
    return reply.reply_to.partition(" ")[2]  # a task id may hold anything


def resolve_reply(reply: Reply, engine: Recommender) -> ReplyJob:
    """Collect the outcomes that the caller waits for.

    Only the caller's last command has its address; by the order of the log the outcomes of the others are there by
    then.
    """
    from celery_recommender.owner.delivery.threads import ReplyJob  # a producer, which is here too, needs no threads

    number, _, task_id = reply.reply_to.partition(" ")
    count = int(number) if number.isdecimal() else 0
    if not 0 < count <= MOST_COMMANDS:
        return ReplyJob(reply.id, task_id, (_data(reply.outcome),), many=False)
    before = [_answer(engine, command_key(task_id, index), reply) for index in range(count - 1)]
    rows = (row for row in (*before, reply.outcome) if row is not None)
    return ReplyJob(reply.id, task_id, tuple(_data(row) for row in rows), many=True)


def _answer(engine: Recommender, key: str, reply: Reply) -> OutboxRow | None:
    """The outcome of a command before the caller's last one; the items of a list may be of several collections."""
    found = engine.outbox.answers(key, reply.outcome.id.ms).values()
    return max((row for row in found if row.id < reply.outcome.id), key=lambda row: row.id, default=None)


def _data(row: OutboxRow) -> dict[str, Any]:
    """What the caller gets: the data of the event, without what the caller itself has sent."""
    data = json.loads(row.event)["data"]
    return {"type": row.type, **{name: value for name, value in data.items() if name != "payload"}}
