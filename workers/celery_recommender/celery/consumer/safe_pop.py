"""The Redis transport without the moments in which a message is nowhere.

Kombu takes a message off its list with ``BRPOP`` and records it as unacknowledged afterwards; what is killed in between
loses it. Here it is moved to a second list (``BLMOVE``) and leaves that one in the transaction that records it, or that
follows its refusal. What is found in the second list by a new connection goes back to the first. Delivery is at least
once, so what is done with a message must bear a repetition; our commands have keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from queue import Empty
from time import monotonic, time
from typing import Any, ClassVar
from uuid import uuid4

from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport
from kombu.utils import json
from redis.exceptions import NoPermissionError

from celery_recommender.broker.redis.priorities import priority_lists
from celery_recommender.celery.consumer.prefixed import PrefixedClient
from celery_recommender.celery.messages.parts import PARTS
from celery_recommender.celery.messages.validation import Envelope, open_envelope
from recommender_engine.errors import InvalidCommand
from recommender_engine.event_log import event_log

log = event_log(__name__)

_GATHER_EVERY_S = 1.0
_MOST_GATHERED = 1000

Refuse = Callable[[bytes, InvalidCommand], None]
"""Keeps the bytes of a message that no transport could take, and why; an exception means that they are not kept."""


def guarded_transport(base: type[Transport], refuse: Refuse) -> type[Transport]:
    """The transport ``base`` with a channel that loses nothing and takes only what is a message."""
    channel = type("SafePopChannel", (SafePop, base.Channel), {"refuse": staticmethod(refuse)})
    return type("SafePopTransport", (base,), {"Channel": channel})


class RecordingQoS(QoS):
    """Records what is delivered in the same transaction in which it leaves the list of what is in transit."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """A message has been delivered: from here on it is unacknowledged."""
        envelope: Envelope = message._raw  # noqa: SLF001 (what kombu itself records)
        queue = message.delivery_info["routing_key"]
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: time()})
            pipe.hset(self.unacked_key, delivery_tag, json.dumps([envelope, "", queue]))  # type: ignore[no-untyped-call]
            pipe.lrem(in_transit(queue), 1, envelope.raw)
            pipe.execute()
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def ack(self, delivery_tag: str) -> None:
        """It has been dealt with."""
        with self._slot_given_back(delivery_tag):
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """It will not be dealt with."""
        with self._slot_given_back(delivery_tag):
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]

    @contextmanager
    def _slot_given_back(self, delivery_tag: str) -> Iterator[None]:
        """Celery logs an acknowledgement that fails, and goes on.

        Without this the message would stay unacknowledged: after as many as a worker may have at once it
        never takes another, nor notices that its connection is gone. As it is, the message comes again in time.
        """
        try:
            yield
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Every few seconds: give back what others left behind."""
        # Releases that have no option for it look at every tenth call only.
        super().restore_visible(*args, **{"interval": 1, **options})  # type: ignore[no-untyped-call]
        self.channel.return_orphans()


class SafePop(Channel):
    """A channel that takes from one queue at a time, in turn; may be mixed into the one for Sentinel."""

    QoS = RecordingQoS
    refuse: ClassVar[Any]  # a Refuse; mypy takes it for a method
    brpop_timeout = 1.0  # seconds; kombu from 5.6 sets its own on the channel

    def __init__(self, *args: Any, **options: Any) -> None:
        self._asked = ""
        self._taken_over: set[str] = set()
        self._orphans: set[bytes] = set()
        self._gathered_s = 0.0
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]

    def _get_client(self) -> Any:
        if not self.global_keyprefix:
            return super()._get_client()  # type: ignore[no-untyped-call]
        return partial(PrefixedClient, global_keyprefix=self.global_keyprefix)

    def _brpop_start(self, timeout: float | None = None) -> None:
        for queue in self._queue_cycle.consume(1):
            if queue not in self._taken_over:
                self._take_over(queue)
            self._gather(queue)
            self._asked = queue
            self._in_poll = self.client.connection
            self._brpop_sent_at = monotonic()  # type: ignore[assignment]
            wait_s = self.brpop_timeout if timeout is None else timeout
            source, target = (self.global_keyprefix + name for name in (queue, in_transit(queue)))
            self.client.connection.send_command("BLMOVE", source, target, "RIGHT", "LEFT", wait_s or 0)

    def _brpop_read(self, **options: Any) -> bool:
        try:
            try:
                raw = self.client.parse_response(self.client.connection, "BLMOVE", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            self._queue_cycle.rotate(self._asked)
            if raw is None:
                raise Empty
            self._deliver(self._asked, raw)
            return True
        finally:
            self._in_poll = None  # type: ignore[assignment]
            if PARTS.renews_logins:
                self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _deliver(self, queue: str, raw: bytes) -> None:
        try:
            envelope = open_envelope(raw, queue, str(uuid4()))
        except InvalidCommand as error:
            self.refuse(raw, error)
            with self.conn_or_acquire() as redis:
                redis.lrem(in_transit(queue), 1, raw)
        else:
            self.connection._deliver(envelope, queue)  # noqa: SLF001 (as kombu's own channel does)

    def _take_over(self, queue: str) -> None:
        """Put back, in order, the messages that a broken connection has left in transit."""
        with self.conn_or_acquire() as redis:
            while redis.lmove(in_transit(queue), queue, "LEFT", "RIGHT") is not None:
                pass
        self._taken_over.add(queue)

    def _gather(self, queue: str) -> None:
        """About once a second: what senders have put into lists of their priorities goes into the queue itself.

        Which lists there are is a setting of each sender's app, and one connection waits for one list.
        """
        if monotonic() < self._gathered_s + _GATHER_EVERY_S:
            return
        self._gathered_s = monotonic()
        lists = priority_lists(queue)
        try:
            with self.conn_or_acquire() as redis:
                for _ in range(_MOST_GATHERED):
                    with redis.pipeline(transaction=False) as pipe:
                        for name in lists:
                            pipe.lmove(name, queue, "RIGHT", "LEFT")
                        lists = tuple(name for name, moved in zip(lists, pipe.execute(), strict=True) if moved)
                    if not lists:
                        return
        except NoPermissionError:
            self._gathered_s = inf  # a user that sees nothing but the queue
            log.warning("celery.priorities_not_read", extra={"key": priority_lists(queue)[0]})

    def return_orphans(self) -> None:
        """Put back what is in transit twice in a row: a reply that went to a connection which is gone.

        Between two calls whatever this process has taken has been recorded, unless it may not take more at present: a
        reply of its own may lie unread then.
        """
        if not self.qos.can_consume():
            return
        with self.conn_or_acquire() as redis:
            found: set[bytes] = set()
            for queue in self.active_queues:
                waiting = set(redis.lrange(in_transit(queue), 0, -1))
                for raw in waiting & self._orphans:
                    with redis.pipeline() as pipe:
                        pipe.lrem(in_transit(queue), 1, raw).rpush(queue, raw).execute()
                found |= waiting
            self._orphans = found - self._orphans


def in_transit(queue: str) -> str:
    """Name of the list that holds what has left ``queue`` and is not recorded yet."""
    return f"{queue}.in-transit"
