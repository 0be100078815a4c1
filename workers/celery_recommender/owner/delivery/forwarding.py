"""Passes commands on to the partitions that decide them, with the requests of Celery tasks that wait for the outcome.

What is to be passed on is committed with the position. It is sent again if it is not known to have arrived: it has a
key there, so it is decided once. What cannot be passed on is refused on this partition's own log, so that callers get
an outcome, and a dead letter holds the command.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from redis.client import Pipeline
from redis.exceptions import NoPermissionError, ResponseError

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.commands.refusals import payload_of, sentence
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.coordination.proofs import NotPermitted, Proofs
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import RefuseMessage, claimed_item
from recommender_engine.store import Forward

log = event_log(__name__)

_AT_ONCE = 200
_AGAIN = "and send the command again (recommender dead-letters replay)"

Refusal = tuple[Forward, str, str]
"""A command, the code why it cannot be passed on, and a sentence."""


class Forwarding:
    """Moves commands from the state to the streams of other partitions.

    Args:
        engine: whose state holds them.
        settings: which partition passes them on, and which others there are.
        partition: that is owned.
        proofs: of refusals on its own log.
    """

    def __init__(self, engine: Recommender, settings: Settings, partition: HeldPartition, proofs: Proofs) -> None:
        self._engine = engine
        self._partition = settings.partition
        self._listed = frozenset(settings.all_partitions)
        self._key_prefix = settings.key_prefix
        self._redis, self._keys, self._lease = partition.redis, partition.keys, partition.lease
        self._proofs = proofs
        self._refused: dict[str, dict[str, Any]] = {}  # by partition
        self._has_refused = False

    def facts(self) -> dict[str, Any]:
        """For the status: what could not be passed on, by partition."""
        return {"not_passed_on": self._refused} if self._has_refused else {}

    def send(self) -> None:
        """Pass on what is to be passed on now; a server that is away gets it later.

        Raises:
            LeaseLost: another process owns the partition.
        """
        while forwards := self._engine.moves.forwards(_AT_ONCE):
            try:
                refused = self._pass_on(forwards)
                self._set_aside(refused)
                self._note({one.target for one in forwards}, refused)
            except AWAY as error:
                log.warning("forwarding.server_away", extra={"error": str(error)})
                return
            self._engine.moves.sent(forwards)

    def _pass_on(self, forwards: Sequence[Forward]) -> list[Refusal]:
        """Send them. Those that cannot be sent do not delay the others."""
        refused = [self._unlisted(one) for one in forwards if one.target not in self._listed]
        known = [one for one in forwards if one.target in self._listed]
        requests = self._requests(known)
        try:
            self._send(known, requests)
        except AWAY:
            raise
        except (ResponseError, NotPermitted):  # of one of them
            for one in known:
                try:
                    self._send([one], requests)
                except AWAY:
                    raise
                except (ResponseError, NotPermitted) as error:
                    refused.append(self._denied(one, error))
        return refused

    def _requests(self, forwards: Sequence[Forward]) -> dict[str, Any]:
        """The Celery requests that wait for them, by task."""
        waiting = [_task_of(one) for one in forwards]
        return dict(zip(waiting, self._redis.hmget(self._keys.replies, waiting), strict=True)) if waiting else {}

    def _send(self, forwards: Sequence[Forward], requests: dict[str, Any]) -> None:
        entries = [self._signed(one) for one in forwards]

        def fill(pipe: Pipeline) -> None:
            for one, entry in zip(forwards, entries, strict=True):
                task_id = _task_of(one)
                target, request = PartitionKeys.of(one.target, self._key_prefix), requests[task_id]
                if request is not None and one.target != self._partition:
                    pipe.hset(target.replies, task_id, request)
                    pipe.hdel(self._keys.replies, task_id)
                pipe.xadd(target.commands, entry)  # type: ignore[arg-type]

        if forwards:
            self._lease.execute(fill)

    def _signed(self, one: Forward) -> dict[str, Any]:
        """With a proof for the other partition's stream, if its command needs one: it had one for this."""
        return Proofs(self._redis, PartitionKeys.of(one.target, self._key_prefix)).signed(self._fields(one))

    def _fields(self, one: Forward) -> dict[str, str]:
        fields = {name: one.command[name] for name in ("type", "data", "key", "reply_to")}
        fields["traceparent"] = one.command.get("traceparent")
        fields["via"] = ",".join((*one.command["via"], self._partition))
        return {name: value for name, value in fields.items() if value is not None}

    # -- what cannot be passed on --------------------------------------------------------------------------------------

    def _unlisted(self, one: Forward) -> Refusal:
        reason = (
            f"it is for the partition {one.target!r}, which is none of RECOMMENDER_PARTITIONS: list it, start its owner"
        )
        return one, "unknown_partition", f"{reason}, {_AGAIN}"

    def _denied(self, one: Forward, error: ResponseError | NotPermitted) -> Refusal:
        allowed = (
            ""
            if not isinstance(error, NoPermissionError | NotPermitted)
            else " (docs/security.md has the rights it needs)"
        )
        reason = (
            f"the owner of {self._partition!r} could not append it to the stream of {one.target!r}: {error}{allowed}"
        )
        return one, "not_permitted", f"{reason}; mend that, {_AGAIN}"

    def _set_aside(self, refused: Sequence[Refusal]) -> None:
        if not refused:
            return
        entries = [self._proofs.signed(self._refusal(*one)) for one in refused]

        def fill(pipe: Pipeline) -> None:
            for entry in entries:
                pipe.xadd(self._keys.commands, entry)  # type: ignore[arg-type]

        self._lease.execute(fill)

    def _note(self, targets: set[str], refused: Sequence[Refusal]) -> None:
        """Note which partitions take nothing; one that takes what it is sent is in order again."""
        before = self._refused
        now = {target: facts for target, facts in before.items() if target not in targets}
        for (target, reason), commands in Counter((one.target, text) for one, _, text in refused).items():
            earlier = before.get(target, {}).get("commands", 0)
            now[target] = {"commands": earlier + commands, "reason": reason}
            log.error("forwarding.refused", extra={"target": target, "commands": commands, "reason": reason})
        self._refused = now
        self._has_refused = self._has_refused or bool(now)

    def _refusal(self, one: Forward, code: str, reason: str) -> dict[str, str | int]:
        raw = str(one.command["data"]).encode()
        about = claimed_item(raw)
        data = {
            "source": "forward",
            "code": code,
            "message": sentence(reason),
            **payload_of(raw),
            "item_id": about and about.id,
            "collection": about.collection if about else json.loads(raw).get("collection"),
            "command_type": one.command["type"],
        }
        # Under the key that the command has there: a caller that looks for its outcome by that key finds it.
        return command_fields(RefuseMessage.type, data, key=one.command["key"], reply_to=one.command["reply_to"])


def _task_of(one: Forward) -> str:
    return (one.command["reply_to"] or "").partition(" ")[2]
