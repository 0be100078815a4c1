"""Which process may write for a partition: a lease in Redis with a fencing epoch.

The lock on the state directory keeps two processes off one directory. The lease keeps two *copies* of a directory off
one partition, and keeps an owner that was stopped for longer than it lasts from writing.

Two keys: the lease itself, which expires unless it is renewed, and the epoch, which stays: it changes with every new
owner and with nothing else. What an owner publishes or trims goes in a transaction that watches the epoch, so an owner
that has lost it cannot write one more entry, however late it wakes up.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError, RedisError, WatchError

from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.errors import StateError

_TRIES = 20  # of a transaction that others keep disturbing
_RECONNECTIONS = 3  # of them, when it is the network that disturbs


class LeaseLost(StateError):
    """Another process owns the partition now: this one must not write any more."""


class Holder(NamedTuple):
    """The process that holds a lease.

    Attributes:
        token: of the process, never used twice.
        directory: identifies its state directory, see `directory_of`.
        host: its machine.
        pid: its process.
    """

    token: str
    directory: str
    host: str
    pid: int


class Epoch(NamedTuple):
    """One term of ownership: no two have the same number and token."""

    number: int
    token: str


class Lease:
    """One process's claim on a partition.

    Args:
        redis: the server; used from several threads.
        keys: of the partition.
        token: of this process, never used twice.
        duration_s: for how long it holds without being renewed.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, token: str, duration_s: float) -> None:
        self._redis = redis
        self._lease, self._epoch_key = keys.lease, keys.epoch
        self._holder = Holder(token, "", socket.gethostname(), os.getpid())
        self._duration_s = duration_s
        self._epoch = Epoch(0, token)
        self._valid_until_s = 0.0

    @property
    def duration_s(self) -> float:
        """For how long it holds without being renewed."""
        return self._duration_s

    @property
    def epoch(self) -> int:
        """Number of this process's epoch, from 1; 0 before the lease was acquired."""
        return self._epoch.number

    def acquire(self, directory: str, above: int) -> Holder | None:
        """Begin an epoch, unless that of another process has not ended.

        Args:
            directory: the state directory, on which the caller has the lock. A lease that was held from the same
                directory is taken over at once: its holder has ended.
            above: the last epoch that the state knows of: a server that lost its data does not have it.

        Returns:
            The process that holds the lease; ``None`` when it is this one now.
        """
        self._holder = self._holder._replace(directory=directory)
        with self._redis.pipeline() as pipe:
            try:
                sent_s = time.monotonic()
                _watch(pipe, self._lease, self._epoch_key)
                holder = _holder(pipe.get(self._lease))
                if holder is not None and holder.directory != directory:
                    return holder
                last = _epoch(pipe.get(self._epoch_key))
                epoch = Epoch(max(above, last.number if last else 0) + 1, self._holder.token)
                self._write(pipe, epoch, new=True)
            except WatchError as error:
                _raise_if_away(error)
                return self.holder() or self._holder
        self._epoch, self._valid_until_s = epoch, sent_s + self._duration_s
        return None

    def holder(self) -> Holder | None:
        """The process that holds the lease."""
        return _holder(self._redis.get(self._lease))

    def renew(self) -> None:
        """Extend it.

        On a server that lost its data, lease and epoch are written again.

        Raises:
            LeaseLost: the epoch of another process has begun.
        """
        for done in range(1, _TRIES + 1):
            sent_s = time.monotonic()
            with self._redis.pipeline() as pipe:
                try:
                    _watch(pipe, self._epoch_key, self._lease)
                    found = _epoch(pipe.get(self._epoch_key))
                    forgotten = found != self._epoch
                    if forgotten:
                        self._require_forgotten(found, _holder(pipe.get(self._lease)))
                    self._write(pipe, self._epoch, new=forgotten)
                except WatchError as error:
                    _raise_if_away(error, done)
                    continue
                except OutOfMemoryError:
                    self._extend()
            self._valid_until_s = max(self._valid_until_s, sent_s + self._duration_s)
            return
        raise LeaseLost("the lease of the partition keeps changing")

    def require(self) -> None:
        """Make sure that the epoch lasts; asks the server only when the last renewal is too long ago.

        Raises:
            LeaseLost: it has ended.
            RedisError: the server is away.
        """
        if time.monotonic() >= self._valid_until_s:
            self.renew()

    def execute(
        self,
        fill: Callable[[Pipeline], None],
        *,
        watch: Sequence[str] = (),
        check: Callable[[Redis], None] = lambda redis: None,
        tries: int = _TRIES,
        raise_on_error: bool = True,
    ) -> list[Any]:
        """Carry out commands in one transaction, and only if the epoch lasts.

        Args:
            fill: puts the commands into the transaction; called again when it has to be tried again.
            watch: further keys that must not change between ``check`` and the commands.
            check: looks at them; what it raises ends the attempt.
            tries: how often to try when others keep changing them.
            raise_on_error: whether a command that fails raises; otherwise its error is among the replies.

        Raises:
            LeaseLost: it has ended; nothing was carried out.
            WatchError: the further keys kept changing; nothing was carried out.
            RedisError: the server is away; it is not known what was carried out.
        """
        for done in range(1, tries + 1):
            with self._redis.pipeline() as pipe:
                try:
                    _watch(pipe, self._epoch_key, *watch)
                    if _epoch(pipe.get(self._epoch_key)) != self._epoch:
                        pipe.unwatch()
                        self.renew()  # a server that lost its data; or we have lost the lease
                        continue
                    check(pipe)
                    pipe.multi()
                    fill(pipe)
                    return list(pipe.execute(raise_on_error=raise_on_error))
                except WatchError as error:
                    _raise_if_away(error, done)
                    if watch and done == tries:
                        raise
        raise LeaseLost("the epoch of the partition keeps changing")

    def execute_in_need(
        self,
        fill: Callable[[Pipeline], None],
        *,
        watch: Sequence[str] = (),
        check: Callable[[Redis], None] = lambda redis: None,
        tries: int = _TRIES,
    ) -> list[Any]:
        """Carry out commands that make room on the server, also when it is too full for a transaction.

        They follow a look at the epoch, and ``check``, then. Nobody can begin a reign or a stream in between on a
        server that is full; and what is dropped is committed.

        Args:
            fill: puts the commands into the transaction.
            watch: as for ``execute``, and so are the following.
            check: what it raises ends the attempt.
            tries: how often to try when others keep changing the keys.

        Returns:
            Replies; the error of a command that failed is among them.

        Raises:
            LeaseLost: the epoch has ended; nothing was carried out.
            WatchError: the further keys kept changing; nothing was carried out.
        """
        try:
            return self.execute(fill, watch=watch, check=check, tries=tries, raise_on_error=False)
        except OutOfMemoryError:
            if _epoch(self._redis.get(self._epoch_key)) != self._epoch:
                raise LeaseLost("the partition is owned by another process now") from None
            check(self._redis)
            with self._redis.pipeline(transaction=False) as pipe:
                fill(pipe)
                return list(pipe.execute(raise_on_error=False))

    def release(self) -> None:
        """Release it, if it is still ours."""
        with self._redis.pipeline() as pipe:
            try:
                _watch(pipe, self._epoch_key)
                if _epoch(pipe.get(self._epoch_key)) == self._epoch:
                    pipe.multi()
                    pipe.delete(self._lease)
                    pipe.execute()
            except WatchError as error:
                _raise_if_away(error)  # else it is another's

    def _extend(self) -> None:
        """Renew it on a server at its ``maxmemory``, which takes neither what is written nor any transaction.

        It is read afterwards, and no token is used twice: if it is ours then, it was ours when it was extended.

        Raises:
            OutOfMemoryError: it has run out, and cannot be taken again before there is room.
        """
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.pexpire(self._lease, round(self._duration_s * 1000))
            pipe.get(self._lease)
            _, held = pipe.execute()
        if _holder(held) != self._holder:
            raise OutOfMemoryError("the lease has run out, and the server has no memory left for another")

    def _write(self, pipe: Pipeline, epoch: Epoch, *, new: bool) -> None:
        pipe.multi()
        if new:  # a renewal leaves it alone: others watch it
            pipe.set(self._epoch_key, json.dumps(epoch))
        pipe.set(self._lease, json.dumps(self._holder), px=round(self._duration_s * 1000))
        pipe.execute()

    def _require_forgotten(self, found: Epoch | None, holder: Holder | None) -> None:
        """Make sure that the server has older data than this process, and no other process has come meanwhile."""
        if (found is not None and found.number >= self._epoch.number) or (holder or self._holder) != self._holder:
            raise LeaseLost(f"the partition is owned by {_named(holder)} now")


def directory_of(lock: os.stat_result) -> str:
    """Identifies a state directory, and no copy of it: the machine since its start, and the lock file on it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123 (no file of ours)
            machine = file.read().strip()
    except OSError:
        machine = socket.gethostname()
    return f"{machine}:{lock.st_dev}:{lock.st_ino}"


def _watch(pipe: Pipeline, *keys: str) -> None:
    pipe.watch(*keys)  # type: ignore[no-untyped-call]


def _raise_if_away(error: WatchError, done: int = _RECONNECTIONS) -> None:
    """redis-py calls a key changed when the connection that watched it has failed: a server that ended, or one that is
    still loading its data. The key need not have changed. That is tried again a few times."""
    cause = error.__context__
    if isinstance(cause, RedisError) and done >= _RECONNECTIONS:
        raise cause


def _holder(value: Any) -> Holder | None:
    return None if value is None else Holder(*json.loads(value))


def _epoch(value: Any) -> Epoch | None:
    return None if value is None else Epoch(*json.loads(value))


def _named(holder: Holder | None) -> str:
    return "another process" if holder is None else f"process {holder.pid} on {holder.host}"
