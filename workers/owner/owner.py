"""The owner's engine thread: take what waits, decide and commit, publish, carry, trim."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis

from recommender import Recommender, open_recommender
from recommender.embedding import Encoders
from recommender.errors import EncodingError, StateError
from recommender.items import DEFAULT_MODEL, START, Entry, EntryId
from workers.broker.availability import AWAY
from workers.broker.commands_log import CommandsLog
from workers.broker.events_stream import EventsStream
from workers.broker.keys import PartitionKeys
from workers.broker.lease import Lease
from workers.broker.server_clock import ServerClock
from workers.client import command_fields
from workers.owner.courier import Job
from workers.owner.dispatch import Dispatch
from workers.owner.health import serve_health
from workers.owner.inbox import Inbox
from workers.owner.intake import Intake
from workers.owner.lease_keeper import LeaseKeeper
from workers.owner.metrics import Metrics
from workers.owner.ownership import Ownership
from workers.owner.publisher import Publisher
from workers.owner.status import Announcer, Status
from workers.owner.stream_keeper import StreamKeeper
from workers.owner.succession import Succession
from workers.settings import Settings

log = logging.getLogger(__name__)

_IDLE_S = 0.5
_UPKEEP_EVERY_S = 1.0
_SNAPSHOT_EVERY_S = 600.0
_FLUSH_S = 10.0
_RETRY_S = 1.0


class Owner(threading.Thread):
    """Owns a partition from ``start()`` to ``stop()``.

    Args:
        settings: of the process; ``settings.partition`` is the partition.
        encoders: the embedding models.
        redis: makes a connection to the server that holds the streams; each thread has one of its own.
        carry: takes one outcome into Celery; an exception means it has not arrived.
        on_end: called when the thread has ended, with what ended it or ``None`` after ``stop()``.
    """

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders,
        redis: Callable[[], Redis],
        carry: Callable[[Job], None],
        on_end: Callable[[BaseException | None], None] = lambda error: None,
    ) -> None:
        super().__init__(name="recommender-owner", daemon=True)
        self._settings = settings
        self._encoders = encoders
        self._connect = redis
        self._on_end = on_end
        self._keys = PartitionKeys.of(settings.partition)
        self._redis = redis()
        self._commands = CommandsLog(self._redis, self._keys)
        self._lease = Lease(self._redis, self._keys, secrets.token_hex(16), settings.lease_s)
        self._publisher = Publisher(EventsStream(self._redis, self._keys, settings.events_max_length, self._lease))
        self._stream_keeper = StreamKeeper(self._commands, self._lease)
        self._inbox = Inbox(settings.batch_tokens, settings.batch_items)
        self._dispatch = Dispatch(settings, self._commands, carry)
        self._metrics = Metrics(settings.partition)
        self.status = Status(settings.stall_after_s)
        self._stopping = threading.Event()
        self._succession = Succession(state_directory(settings), self._lease, settings.standby, self._stopping)
        self._clock = ServerClock()
        self._read: Callable[[], EntryId] = lambda: START
        self.elected = threading.Event()
        self.ready = threading.Event()
        self._next_upkeep = 0.0
        self._next_snapshot = 0.0

    # -- for other threads ---------------------------------------------------------------------------------------------

    def ask(self, question: Callable[[Recommender], Any]) -> Future[Any]:
        """Ask the engine something between two batches."""
        return self._inbox.ask(question)

    def stop(self, timeout_s: float = 60.0) -> None:
        """Finish the batch in hand, publish, write snapshots, close; returns when done."""
        self._stopping.set()
        self._inbox.close()
        if self.is_alive():
            self.join(timeout_s)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Own the partition until stopped."""
        error: BaseException | None = None
        try:
            self._own()
        except BaseException as caught:
            error = caught
            log.critical("owner.failed", exc_info=not isinstance(caught, StateError), extra={"error": str(caught)})
        finally:
            self._inbox.close()
            self._on_end(error)

    def _own(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._serve_health())
            if self._settings.standby:
                self._stand_by()
            engine = self._succession.open(self._open)
            if engine is None:
                return
            stack.callback(engine.close)
            if not self._take_over(engine):
                return
            stack.callback(self._leave)
            keeper = LeaseKeeper(self._lease)
            keeper.start()
            stack.callback(keeper.stop)
            self.elected.set()
            announcer = Announcer(self.status, self._connect(), self._keys)
            announcer.start()
            stack.callback(announcer.stop)
            engine.warm_up()
            intake = Intake(CommandsLog(self._connect(), self._keys), self._inbox, engine.position, self._clock.now_ms)
            self._read = lambda: intake.position
            intake.start()
            stack.callback(intake.stop)
            self._dispatch.start(engine)
            self.status.update(state="running", encoder=self._encoders.encoder(DEFAULT_MODEL).identity.variant)
            self.ready.set()
            log.info("owner.ready", extra={"partition": self._settings.partition, "position": str(engine.position)})
            self._loop(engine, intake, keeper)
            intake.stop()
            self._finish(engine)
        log.info("owner.closed")

    def _loop(self, engine: Recommender, intake: Intake, keeper: LeaseKeeper) -> None:
        while not self._stopping.is_set():
            intake.check()
            keeper.check()
            entries, questions = self._inbox.take(_IDLE_S)
            if entries:
                self._embed_ahead(engine, entries)
                self._process(engine, entries)
            self._publish(engine)
            if entries:
                self._after_batch(engine)
            self._offer(engine)
            for question in questions:
                question.settle(engine)
            self.status.rest()
            if time.monotonic() >= self._next_upkeep:
                self._upkeep(engine)

    def _embed_ahead(self, engine: Recommender, entries: list[Entry]) -> None:
        """Have the model work on the next batch while this one is decided. A lone item goes straight through."""
        if following := self._inbox.peek():
            engine.embed_ahead(entries)  # what is not in hand yet, so that it comes first
            engine.embed_ahead(following)

    def _process(self, engine: Recommender, entries: list[Entry]) -> None:
        """Decide and commit, however often the model has to be asked."""
        self.status.working()
        while not self._stopping.is_set():
            try:
                with self._metrics.stage("process"):
                    events = engine.process(entries)
            except EncodingError as error:
                log.error("owner.encoding_failed", extra={"error": str(error), "commands": len(entries)})
                self._stopping.wait(_RETRY_S)
            except AWAY as error:  # the lease is in doubt: nothing was committed
                log.warning("owner.lease_in_doubt", extra={"error": str(error)})
                self._stopping.wait(_RETRY_S)
            else:
                self._metrics.committed(len(entries), events)
                return

    def _after_batch(self, engine: Recommender) -> None:
        """Make room for producers and tell those who wait for the position, now that its events are out."""
        try:
            self._trim(engine)
        except AWAY as error:
            self._stream_keeper.doubt()
            log.warning("owner.trim_failed", extra={"error": str(error)})
        self.status.update(position=str(engine.position))

    def _trim(self, engine: Recommender) -> None:
        """Drop what has been decided from the commands stream, if it is the stream that was read."""
        self._stream_keeper.trim(engine, max(self._read(), engine.position))

    def _publish(self, engine: Recommender) -> None:
        """Publish what is committed; a server that is away gets it later."""
        with self._metrics.stage("publish"):
            published = self._publisher.publish(engine)
        if not published:
            self._stream_keeper.doubt()
            self._stopping.wait(_RETRY_S)

    def _offer(self, engine: Recommender) -> None:
        """Hand outcomes to the courier; while the server is away nobody can be told."""
        try:
            self._dispatch.offer(engine)
        except AWAY as error:
            log.warning("owner.offer_failed", extra={"error": str(error)})

    def _upkeep(self, engine: Recommender) -> None:
        """Once a second: note what arrived, trim, write snapshots, tick the clock, say how it goes."""
        now = time.monotonic()
        self._next_upkeep = now + _UPKEEP_EVERY_S
        self._dispatch.acknowledge(engine)
        try:
            self._claim(engine)
            self._publisher.check(engine)
            self._trim(engine)
            self._clock.adjust(self._redis)
            self._tick(engine)
            self._report(engine)
        except AWAY as error:
            self._stream_keeper.doubt()
            log.warning("owner.upkeep_failed", extra={"error": str(error)})
        due = now >= self._next_snapshot
        try:
            engine.snapshot(all_changes=due)
        except StateError as error:
            log.error("owner.snapshot_failed", extra={"error": str(error)})
        if due:
            self._next_snapshot = now + _SNAPSHOT_EVERY_S
            sent = self._dispatch.sent(engine, self._publisher.published)
            engine.prune(self._settings.outbox_hours * 3600 * 1000, sent)
            recalls = engine.sampled_recall()
            if recalls:
                self._metrics.recall(min(recalls.values()))

    def _tick(self, engine: Recommender) -> None:
        """Time passes through commands only: when something falls due on a quiet stream, say so on the stream."""
        due_ms = engine.due_ms()
        if due_ms is not None and due_ms <= self._clock.now_ms() and len(self._inbox) == 0:
            self._commands.append([command_fields("clock.ticked", {})])

    def _report(self, engine: Recommender) -> None:
        unpublished = self._publisher.backlog(engine)
        stats = engine.stats()
        points: Counter[str] = Counter()
        for collection in stats["collections"].values():
            points[collection["index"]] += collection["points"]
        self._metrics.index(points)
        self._metrics.unpublished(unpublished)
        oldest_ms = self._commands.oldest_waiting_ms(engine.position)
        oldest_s = 0.0 if oldest_ms is None else max(0.0, (self._clock.now_ms() - oldest_ms) / 1000)
        lag = 0 if oldest_ms is None else self._commands.length()
        self._metrics.backlog(lag, oldest_s)
        self.status.update(position=str(engine.position), items=stats["items"], lag=lag, oldest_waiting_s=oldest_s)

    def _finish(self, engine: Recommender) -> None:
        """Ordered end: publish, let the courier finish, trim. What cannot be done now is done at the next start."""
        try:
            self._publish(engine)
            self._dispatch.offer(engine)
            self._dispatch.finish(engine, _FLUSH_S)
            self._trim(engine)
        except AWAY as error:
            log.warning("owner.finish_without_server", extra={"error": str(error)})

    # -- start ---------------------------------------------------------------------------------------------------------

    def _open(self) -> Recommender:
        return open_recommender(
            state_directory(self._settings),
            self._encoders,
            partition=self._settings.partition,
            created_by="celery-recommender",
            before_commit=self._lease.require,
        )

    def _stand_by(self) -> None:
        """Have ready what takes long, so that little is left to do when the turn comes."""
        self.status.update(state="standby")
        self._encoders.encoder(DEFAULT_MODEL).encode(["ready"])

    def _take_over(self, engine: Recommender) -> bool:
        """Become the owner, however long the server is away; false when stopped before."""
        while not self._stopping.is_set():
            try:
                self._clock.adjust(self._redis)
                self._claim(engine)
                if not self._succession.acquire(engine):
                    return False
                self._stream_keeper.check(engine, engine.position)
                self._publisher.take_over(engine)
            except AWAY as error:
                log.warning("owner.server_away", extra={"error": str(error)})
                self._stopping.wait(_RETRY_S)
            else:
                return True
        return False

    def _leave(self) -> None:
        """Let the next one in at once."""
        try:
            self._lease.release()
        except AWAY as error:
            log.warning("owner.lease_not_released", extra={"error": str(error)})

    def _claim(self, engine: Recommender) -> None:
        """See to it that the partition is ours, or stop."""
        Ownership(self._redis, self._keys, engine.identify(secrets.token_hex(16))).claim()

    def _serve_health(self) -> Callable[[], None]:
        if not self._settings.metrics_port:
            return lambda: None
        return serve_health(
            self._settings.metrics_host, self._settings.metrics_port, self._metrics.registry, self.status.health
        )


def state_directory(settings: Settings) -> Path:
    """Where the state of the partition lives."""
    return settings.state_dir / "state" / settings.partition
