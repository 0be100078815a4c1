"""Drives a collection's move from one partition to another, from any step.

Every step is a command on the log of an owner, and takes effect only as the next step of the collection.
The owners know what has been done. So a move that is started again after a crash goes on where it stopped.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.continuity import group_and_last_id
from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.broker.routing.partitions import AppendedCommand
from celery_recommender.celery.tasks.moving import MovePageTask, MoveStatus
from celery_recommender.celery.tasks.questions import QuestionTask
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.errors import RecommenderError
from recommender_engine.items import START, CommandRejected, EntryId, MoveCollection, ReceiveRecords

_PART_BYTES = 120_000
_MOST_WAITING = 32  # commands before the target: what others send there waits for no more than these
_POLL_S = 0.05
_ANSWER_WITHIN_S = 90.0
_ASKED_TIMES = 3
_STEP_WITHIN_S = 600.0

Fields = dict[str, Any]


class MoveFailed(RecommenderError):
    """The move has stopped where it is; the message says what is wrong. The same command goes on with it."""


class Mover:
    """One collection and two partitions.

    Args:
        settings: of this process, with the partitions.
        redis: the server.
        collection: what moves.
        target: where to.
        tell: called with the current step, and the numbers of copied and of all items.
    """

    def __init__(
        self,
        settings: Settings,
        redis: Redis,
        collection: str,
        target: str,
        tell: Callable[[str, int, int], None] = lambda step, done, total: None,
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._client = Client(settings, redis)
        self._collection = collection
        self._target = target
        self._tell = tell
        self._apps: dict[str, Celery] = {}

    def where(self) -> dict[str, Fields]:
        """The state of the collection, by partition; without partitions that have no running owner."""
        return {name: self._status(name) for name in self._settings.all_partitions if self._is_at_work(name)}

    def source(self, where: dict[str, Fields]) -> str:
        """The partition that has it, or that has not seen the end of its move.

        Raises:
            MoveFailed: it is nowhere, in two places, or on its way to another partition.
        """
        for partition, one in where.items():
            if one["place"] == "leaving":
                if one["target"] != self._target:
                    raise MoveFailed(f"it is on its way to {one['target']}: go on with that, or --cancel it")
                return partition
        holding = [partition for partition, one in where.items() if one["place"] == "here"]
        if not holding:
            absent = [name for name in self._settings.all_partitions if name not in where]
            asleep = f"; {', '.join(absent)}: no owner at work" if absent else ""
            raise MoveFailed(f"no partition has a collection {self._collection!r}{asleep}")
        if len(holding) > 1:
            raise MoveFailed(f"{' and '.join(holding)} both have a collection {self._collection!r}")
        came = where[holding[0]]
        left = where.get(came["source"] or "", {})
        unfinished = holding == [self._target] and (left.get("move"), left.get("place")) == (came["move"], "left")
        return str(came["source"]) if unfinished else holding[0]

    def run(self) -> Fields:
        """Move it, or go on with it; returns names, and how many items there are.

        Raises:
            MoveFailed: an owner is not there, or has refused a step.
        """
        where = self.where()
        source = self.source(where)
        for partition in (source, self._target):
            self._drain(partition)
        if source != self._target:
            move = self._seal(source)
            self._copy(source, move)
            if self._status(source)["place"] == "leaving":
                self._send(source, self._step(source, move, "released"))
        self._tell("passing on", 0, 0)
        self._await(lambda: not self._status(source)["waiting"], "what came meanwhile to be passed on")
        self._client.partitions.routing.keep(self._collection, self._target)
        there = self._status(self._target)
        return {
            "collection": self._collection,
            "source": source,
            "target": self._target,
            "move": there["move"],
            "items": there["items"],
        }

    def cancel(self) -> Fields:
        """Undo a move that has not arrived.

        Raises:
            MoveFailed: there is none, or it has arrived.
        """
        where = self.where()
        leaving = [partition for partition, one in where.items() if one["place"] == "leaving"]
        if not leaving:
            raise MoveFailed(f"collection {self._collection!r} is not on its way")
        source = leaving[0]
        move, self._target = str(where[source]["move"]), str(where[source]["target"])
        self._drain(self._target)
        there = self._status(self._target)
        if there["move"] == move and there["place"] == "here":
            raise MoveFailed("it has arrived: go on with the move, and then move it back")
        if there["move"] == move and there["place"] == "arriving":
            self._send(self._target, self._step(source, move, "cancelled"))
        self._send(source, self._step(source, move, "cancelled"))
        return {"collection": self._collection, "source": source, "target": self._target, "cancelled": True}

    def close(self) -> None:
        """Close connections."""
        for app in self._apps.values():
            app.close()

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _seal(self, source: str) -> str:
        here = self._status(source)
        self._tell("sealing", 0, here["items"])
        if here["place"] in ("leaving", "left"):
            return str(here["move"])
        move = uuid.uuid4().hex
        self._send(source, self._step(source, move, "sealed"))
        return move

    def _copy(self, source: str, move: str) -> None:
        there, here = self._status(self._target), self._status(source)
        if there["move"] != move:
            numbers = {"arrivals": here["arrivals"], "points": here["points"]}
            self._send(self._target, {**self._step(source, move, "begun"), **numbers})
            there = self._status(self._target)
        if there["place"] == "here":
            return
        page, last, copied = there["page"], None, there["items"]
        while page is not None:
            self._tell("copying", copied, here["items"])
            found = self._ask(source, MovePageTask, self._collection, page)
            last = self._send_page(move, page, found) or last
            copied += found["items"]
            page = found["next"]
        self._await_decided(self._target, last or START)
        if self._status(self._target)["page"] is not None:
            raise MoveFailed(
                f"the owner of {self._target} has refused records (`recommender dead-letters list`): mend it and go on,"
                " or --cancel"
            )
        self._send(self._target, self._step(source, move, "arrived"))

    def _send_page(self, move: str, page: str, found: Fields) -> AppendedCommand | None:
        data = found["data"].encode()
        parts = [data[start : start + _PART_BYTES] for start in range(0, len(data), _PART_BYTES)]
        last: AppendedCommand | None = None
        for number, part in enumerate(parts):
            fields = {
                "collection": self._collection,
                "move": move,
                "page": page,
                "part": number,
                "parts": len(parts),
                "data": base64.b64encode(part).decode(),
                "sha256": found["sha256"],
                "next": found["next"],
            }
            self._await(self._has_room, f"the owner of {self._target} to come after")
            last = self._append(self._target, ReceiveRecords.type, fields)
        return last

    def _step(self, source: str, move: str, step: str) -> Fields:
        target = self._target
        return {"collection": self._collection, "move": move, "step": step, "source": source, "target": target}

    def _send(self, partition: str, fields: Fields) -> None:
        """One step on the log of a partition, and its outcome."""
        placed = self._append(partition, MoveCollection.type, fields)
        try:
            event = self._client.outcome(placed, timeout_s=_ANSWER_WITHIN_S)
        except TimeoutError:
            raise MoveFailed(f"the owner of {partition} has not answered: give the same command again") from None
        if event["type"] == CommandRejected.type:
            raise MoveFailed(f"the owner of {partition} refuses {fields['step']!r}: {event['data']['message']}")

    # -- the partitions ------------------------------------------------------------------------------------------------

    def _append(self, partition: str, type_: str, fields: Fields) -> AppendedCommand:
        (position,) = self._client.partitions.of(partition).log.append([command_fields(type_, fields)])
        return AppendedCommand.at(position, partition)

    def _has_room(self) -> bool:
        target = self._client.partitions.of(self._target)
        return commands_waiting(self._redis, target.keys, read_status(self._redis, target.keys)) < _MOST_WAITING

    def _drain(self, partition: str) -> None:
        """Wait until all current entries of a stream are decided: an earlier run may have left steps there."""
        _, last = group_and_last_id(self._redis, self._client.partitions.of(partition).keys.commands)
        self._await_decided(partition, last or START)

    def _await_decided(self, partition: str, position: EntryId) -> None:
        def decided() -> bool:
            status = read_status(self._redis, self._client.partitions.of(partition).keys) or {}
            return EntryId.parse(status.get("position", "0-0")) >= position

        self._await(decided, f"the owner of {partition}")

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _STEP_WITHIN_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise MoveFailed(f"waited {_STEP_WITHIN_S:.0f} s for {what}: the same command goes on")
            time.sleep(_POLL_S)

    def _is_at_work(self, partition: str) -> bool:
        return read_status(self._redis, self._client.partitions.of(partition).keys) is not None

    def _status(self, partition: str) -> Fields:
        found: Fields = self._ask(partition, MoveStatus, self._collection)
        return found

    def _ask(self, partition: str, task: type[QuestionTask], *args: str) -> Any:
        if partition not in self._apps:
            self._apps[partition], _ = make_app(self._settings.replaced(partition=partition))
        for _ in range(_ASKED_TIMES):
            result = self._apps[partition].tasks[task.name].apply_async(args, expires=_ANSWER_WITHIN_S)
            try:
                found = result.get(timeout=_ANSWER_WITHIN_S)
            except (CeleryTimeoutError, TimeoutError):  # it was killed while answering, or is busy
                continue
            with suppress(RedisError):
                result.forget()  # pages together are as large as the collection
            return found
        raise MoveFailed(f"the owner of {partition} does not answer: the same command goes on")
