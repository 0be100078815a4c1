"""Proofs that a command was appended by an owner, its Celery door or a mover, and not by a mere producer.

Whoever may append to a commands stream can write any command into it. Those that only owners and movers may give
(``privileged`` on the class of the command) carry a proof: an HMAC over the whole entry, by a secret of the partition.
The secret is in a key that no producer, consumer or dashboard may read. The check is made where an entry is read, so
the engine decides recorded entries without it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.server_clock import ServerClock
from recommender_engine.errors import RecommenderError
from recommender_engine.items import START, EntryId
from recommender_engine.items.commands import COMMAND_TYPES, claimed_type
from recommender_engine.items.limits import KEY_WINDOW_MS

PROOF = b"proof"
"""The field of an entry that holds the proof."""

_FORM = re.compile(rb"([0-9]{1,15})\.([0-9a-f]{64})")
_MOST_KNOWN = 8
_CLOCK_EVERY_S = 60.0


class NotPermitted(RecommenderError):
    """This process has no right to give a command of owners and movers; nothing was appended."""


def is_privileged(type_: bytes | str) -> bool:
    """Whether commands of a type need a proof."""
    model = COMMAND_TYPES.get(claimed_type(type_))
    return model is not None and model.privileged


@dataclass(frozen=True, slots=True)
class Secrets:
    """By which an entry is checked.

    Attributes:
        stream: the commands stream; a proof for one stream is none for another.
        known: secrets of the partition, the oldest first: Redis may have lost one and been given another.
        since: entries up to here were appended before there were proofs, by the owners and movers of that time.
    """

    stream: str
    known: tuple[str, ...] = ()
    since: EntryId = START

    def permits(self, entry_id: EntryId, fields: Mapping[bytes, bytes]) -> bool:
        """Whether an entry comes from an owner or a mover.

        A proof counts for the time for which keys are remembered: one that is read and
        appended again is a repeat within that time, and invalid after it.
        """
        if entry_id <= self.since:
            return True
        found = _FORM.fullmatch(fields.get(PROOF, b""))
        if found is None or b"key" not in fields or abs(entry_id.ms - int(found[1])) >= KEY_WINDOW_MS:
            return False
        signed = _signed_part(self.stream, found[1], fields)
        return any(hmac.compare_digest(_mac(secret, signed), found[2]) for secret in self.known)


def nobody(entry_id: EntryId, fields: Mapping[bytes, bytes]) -> bool:
    """Without a secret, no entry has a valid proof."""
    return False


class Proofs:
    """Makes and checks proofs for one partition; called from any thread.

    Args:
        redis: the server.
        keys: of the partition.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys) -> None:
        self._redis = redis
        self._key = keys.proof
        self._clock = ServerClock(redis)
        self._next_look_s = 0.0
        self.secrets = Secrets(keys.commands)

    def signed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an entry; with a proof if its command needs one.

        Raises:
            NotPermitted: this process may not read the secret.
        """
        type_ = fields.get("type", "item.upsert")
        if not is_privileged(type_):
            return dict(fields)
        if "key" not in fields:
            raise ValueError("a command of owners and movers needs a key: a proof holds as long as keys do")
        secret, signed_ms = self._secret(type_), b"%d" % self._now_ms()
        raw = {name.encode(): _bytes(value) for name, value in fields.items()}
        mac = _mac(secret, _signed_part(self.secrets.stream, signed_ms, raw))
        return {**fields, PROOF.decode(): (signed_ms + b"." + mac).decode()}

    def permits(self, entry_id: EntryId, fields: Mapping[bytes, bytes]) -> bool:
        """As `Secrets.permits`; a secret that is new on the server counts at once.

        Raises:
            RedisError: the server is away.
        """
        if self.secrets.permits(entry_id, fields):
            return True
        if _FORM.fullmatch(fields.get(PROOF, b"")) is None:
            return False
        found = _text(self._redis.hget(self._key, "secret"))
        if found is None or found in self.secrets.known:
            return False
        self.secrets = replace(self.secrets, known=(*self.secrets.known, found)[-_MOST_KNOWN:])
        return self.secrets.permits(entry_id, fields)

    def keep(self, noted: Sequence[str], since: EntryId) -> list[str]:
        """Make sure that the server has a secret; called by the owner.

        Args:
            noted: the secrets that the state knows, the oldest first. A server that has lost its own gets the newest.
            since: up to where entries count that were appended before there was a secret. It is set once.

        Returns:
            All that are known now, for the state.
        """
        found = self._read()
        if None in found:  # only then: a full server refuses what writes
            # An id chosen by a sender can be far ahead; nothing of that time has been appended yet.
            since = min(since, EntryId(self._now_ms(), 0))
            self._redis.hsetnx(self._key, "secret", noted[-1] if noted else secrets.token_hex(32))
            self._redis.hsetnx(self._key, "since", str(since))
            found = self._read()
        secret, before = found
        known = [one for one in dict.fromkeys((*noted, *self.secrets.known)) if one != secret]
        known.append(str(secret))
        self.secrets = Secrets(self.secrets.stream, tuple(known[-_MOST_KNOWN:]), EntryId.parse(str(before)))
        return list(self.secrets.known)

    def _read(self) -> list[str | None]:
        found: Any = self._redis.hmget(self._key, "secret", "since")
        return [_text(one) for one in found]

    def _secret(self, type_: str) -> str:
        try:
            found = _text(self._redis.hget(self._key, "secret"))
            if found is None:  # before the first owner, or the server has lost it
                self._redis.hsetnx(self._key, "secret", secrets.token_hex(32))
                found = _text(self._redis.hget(self._key, "secret"))
        except NoPermissionError:
            raise NotPermitted(
                f"{type_} is a command of owners and movers: it needs a user of the Redis server that may read the key"
                f" {self._key}, such as `worker` of deploy/redis/users.acl"
            ) from None
        return str(found)

    def _now_ms(self) -> int:
        """The server's time: ids of entries are given by it."""
        if time.monotonic() >= self._next_look_s:
            self._clock.adjust()
            self._next_look_s = time.monotonic() + _CLOCK_EVERY_S
        return self._clock.now_ms()


def _signed_part(stream: str, signed_ms: bytes, fields: Mapping[bytes, bytes]) -> bytes:
    """All of an entry but the proof, in an unambiguous form."""
    parts = [stream.encode(), signed_ms]
    for name in sorted(fields):
        if name != PROOF:
            parts += (name, fields[name])
    return b"".join(b"%d:%b," % (len(part), part) for part in parts)


def _mac(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()


def _bytes(value: str | int | bytes) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: Any) -> str | None:
    return None if value is None else value.decode()
