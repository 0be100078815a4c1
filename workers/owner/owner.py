"""The owner's engine thread: take what waits, decide and commit, publish, carry, trim."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from recommender import Recommender, open_recommender
from recommender.backups import Backup
from recommender.embedding import Encoders
from recommender.errors import EncodingError, StateError, StateFull
from recommender.items import DEFAULT_MODEL, START, Entry, EntryId
from workers.broker.admission import Overloaded
from workers.broker.commands_log import CommandsLog
from workers.broker.connections import memory_share
from workers.broker.events_stream import EventsStream
from workers.broker.keys import PartitionKeys
from workers.broker.lease import Lease, LeaseLost
from workers.broker.quarantine import Quarantine
from workers.broker.trimming import Trimming
from workers.client import command_fields
from workers.owner.backups import BackupKeeper
from workers.owner.courier import Job
from workers.owner.dispatch import Dispatch
from workers.owner.event_keeper import EventKeeper
from workers.owner.health import serve_health
from workers.owner.in_hand import BatchInHand
from workers.owner.inbox import Inbox
from workers.owner.intake import Intake
from workers.owner.lease_keeper import LeaseKeeper
from workers.owner.metrics import Metrics
from workers.owner.ownership import Ownership
from workers.owner.pace import Pace
from workers.owner.publisher import Publisher
from workers.owner.recovery import Recovery
from workers.owner.status import Announcer, Status
from workers.owner.succession import Succession
from workers.owner.suspects import Suspects
from workers.owner.watchdog import limit_s, watched
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
        lengths = settings.events_max_length, settings.dead_letters_max_length
        events = EventsStream(self._redis, self._keys, *lengths, self._lease)
        self._publisher = Publisher(events)
        self._trimming = Trimming(self._redis, self._keys, self._lease)
        self._recovery = Recovery(self._redis, self._keys)
        self._backups = BackupKeeper(settings)
        self._quarantine = Quarantine(self._redis, self._keys, self._lease)
        self._inbox = Inbox(settings.batch_tokens, settings.batch_items)
        self._dispatch = Dispatch(settings, self._commands, carry)
        self._metrics = Metrics(settings.partition)
        self._event_keeper = EventKeeper(settings, self._redis, self._keys, events, self._metrics)
        self._pace = Pace()
        self.status = Status(settings.stall_after_s)
        self._stopping = threading.Event()
        self._succession = Succession(state_directory(settings), self._lease, settings.standby, self._stopping)
        self.elected = threading.Event()
        self.ready = threading.Event()
        self._next_upkeep = 0.0
        self._next_snapshot = 0.0

    # -- for other threads ---------------------------------------------------------------------------------------------

    def ask(self, question: Callable[[Recommender], Any]) -> Future[Any]:
        """Ask the engine something between two batches."""
        return self._inbox.ask(question)

    def back_up(self) -> Future[Backup]:
        """Make a backup beside the work, as soon as possible."""
        return self._backups.ask()

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
            in_hand = BatchInHand(state_directory(self._settings) / "in-hand.json")
            stack.callback(in_hand.close)
            quarantined = self._examine(engine, in_hand)
            engine.warm_up()
            intake = Intake(
                CommandsLog(self._connect(), self._keys),
                self._inbox,
                engine.position,
                self._recovery.read_at_ms,
                quarantined,
            )
            intake.start()
            stack.callback(intake.stop)
            self._dispatch.start(engine)
            self._backups.start()
            stack.callback(self._backups.stop, engine)
            self.status.update(state="running", encoder=self._encoders.encoder(DEFAULT_MODEL).identity.variant)
            self.ready.set()
            log.info("owner.ready", extra={"partition": self._settings.partition, "position": str(engine.position)})
            self._loop(engine, intake, keeper, in_hand)
            in_hand.put_down()
            intake.stop()
            self._finish(engine)
        log.info("owner.closed")

    def _loop(self, engine: Recommender, intake: Intake, keeper: LeaseKeeper, in_hand: BatchInHand) -> None:
        while not self._stopping.is_set():
            intake.check()
            keeper.check()
            entries, questions = self._inbox.take(_IDLE_S)
            for part in self._recovery.parts(entries):
                self._decide(engine, part, in_hand)
                self._recovery.follow(engine)
            self._publish(engine)
            if entries:
                self._after_batch(engine)
            self._offer(engine)
            for question in questions:
                with watched(limit_s(self._settings.hang_after_s, 1)):
                    question.settle(engine)
            self.status.rest()
            if time.monotonic() >= self._next_upkeep:
                self._upkeep(engine)

    def _decide(self, engine: Recommender, entries: list[Entry], in_hand: BatchInHand) -> None:
        """Have the model work on the next batch while this one is decided. A lone item goes straight through."""
        following = [] if in_hand.is_delicate(entries) else self._inbox.peek()
        if following:
            in_hand.take(engine.position, following[-1].id)
            engine.embed_ahead(entries)  # what is not in hand yet, so that it comes first
            engine.embed_ahead(following)
        for part in in_hand.parts(entries):
            in_hand.take(engine.position, (following or part)[-1].id)
            self._process(engine, part, in_hand)

    def _process(self, engine: Recommender, entries: Sequence[Entry], in_hand: BatchInHand) -> None:
        """Decide and commit, however often the model has to be asked."""
        self.status.working()
        limit = limit_s(self._settings.hang_after_s, len(entries))
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                with self._metrics.stage("process"), watched(limit):
                    events = engine.process(entries)
            except EncodingError as error:
                log.error("owner.encoding_failed", extra={"error": str(error), "commands": len(entries)})
                self._bide(engine)
            except StateFull as error:  # nothing was committed, and nothing more is read until there is room
                log.error("owner.disk_full", extra={"error": str(error), "commands": len(entries)})
                self._stopping.wait(_RETRY_S)
            except LeaseLost:
                in_hand.put_down()  # no fault of the batch
                raise
            except RedisError as error:  # the lease is in doubt: nothing was committed
                log.warning("owner.lease_in_doubt", extra={"error": str(error)})
                self._stopping.wait(_RETRY_S)
            else:
                self._metrics.committed(len(entries), events)
                self._pace.count(len(entries), time.monotonic() - started_s)
                self._trimming.committed(len(entries))
                return

    def _bide(self, engine: Recommender) -> None:
        """Before the model is asked again: answer questions, and say how much waits."""
        for question in self._inbox.take_questions(_RETRY_S):
            question.settle(engine)
        try:
            self._report(engine)
        except RedisError as error:
            log.warning("owner.upkeep_failed", extra={"error": str(error)})

    def _after_batch(self, engine: Recommender) -> None:
        """Make room for producers and tell those who wait for the position, now that its events are out."""
        try:
            self._trim(engine)
        except RedisError as error:
            log.warning("owner.trim_failed", extra={"error": str(error)})
        self.status.update(position=str(engine.position), held=self._trimming.held)

    def _trim(self, engine: Recommender) -> None:
        self._trimming.trim(self._identity(engine), engine.position, self._backups.keep_from)

    def _publish(self, engine: Recommender) -> None:
        """Publish what is committed; a server that is away gets it later."""
        with self._metrics.stage("publish"):
            published = self._publisher.publish(engine)
        if not published:
            self._stopping.wait(_RETRY_S)

    def _offer(self, engine: Recommender) -> None:
        """Hand outcomes to the courier; while the server is away nobody can be told."""
        try:
            self._dispatch.offer(engine)
        except RedisError as error:
            log.warning("owner.offer_failed", extra={"error": str(error)})

    def _upkeep(self, engine: Recommender) -> None:
        """Once a second; what the disk has no room for, or the server no time, is done later."""
        now = time.monotonic()
        self._next_upkeep = now + _UPKEEP_EVERY_S
        try:
            self._keep_up(engine, now)
        except StateFull as error:
            log.error("owner.disk_full", extra={"error": str(error)})

    def _keep_up(self, engine: Recommender, now: float) -> None:
        """Note what arrived, trim, write snapshots and backups, tick the clock, say how it goes."""
        self._dispatch.acknowledge(engine)
        self._backups.tend(engine)
        try:
            self._claim(engine)
            self._publisher.check(engine)
            self._keep_stream(engine)
            self._trim(engine)
            self._tick(engine)
            self.status.update(events=self._event_keeper.tend(_now_ms()))
            self._report(engine)
        except (RedisError, Overloaded) as error:
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
        quiet = len(self._inbox) == 0 and not self._recovery.running
        if due_ms is not None and due_ms <= _now_ms() and quiet:
            self._commands.append([command_fields("clock.ticked", {})])

    def _report(self, engine: Recommender) -> None:
        unpublished = self._publisher.backlog(engine)
        stats = engine.stats()
        points: Counter[str] = Counter()
        for collection in stats["collections"].values():
            points[collection["index"]] += collection["points"]
        self._metrics.index(points)
        self._metrics.unpublished(unpublished)
        ahead = self._inbox.oldest()
        oldest_ms = self._commands.oldest_waiting_ms(engine.position) if ahead is None else ahead.ms
        oldest_s = 0.0 if oldest_ms is None else max(0.0, (_now_ms() - oldest_ms) / 1000)
        held = self._trimming.held
        lag = 0 if oldest_ms is None else max(1, self._commands.length() - held)
        self._metrics.backlog(lag, oldest_s)
        self._metrics.room(self._settings.most_waiting, memory_share(self._redis) or 0.0)
        self._metrics.backups(self._backups.current_at, self._backups.failures, held)
        told = {"lag": lag, "held": held, "oldest_waiting_s": oldest_s, **self._backups.told()}
        self.status.update(position=str(engine.position), items=stats["items"], **told)
        self.status.update(commands_per_s=round(self._pace.per_s, 1))

    def _finish(self, engine: Recommender) -> None:
        """Ordered end: publish, let the courier finish, trim. What cannot be done now is done at the next start."""
        try:
            self._publish(engine)
            self._dispatch.offer(engine)
            self._dispatch.finish(engine, _FLUSH_S)
            self._trim(engine)
        except (RedisError, StateFull) as error:
            log.warning("owner.not_finished", extra={"error": str(error)})

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
                self._claim(engine)
                if not self._succession.acquire(engine):
                    return False
                self._keep_stream(engine)
                known = self._trimming.begin(self._identity(engine), engine.position)
                recover = self._recovery.begin if known or engine.position != START else None
                self._publisher.take_over(engine, recover)
            except RedisError as error:
                log.warning("owner.server_away", extra={"error": str(error)})
                self._stopping.wait(_RETRY_S)
            else:
                return True
        return False

    def _leave(self) -> None:
        """Let the next one in at once."""
        try:
            self._lease.release()
        except RedisError as error:
            log.warning("owner.lease_not_released", extra={"error": str(error)})

    def _examine(self, engine: Recommender, in_hand: BatchInHand) -> dict[EntryId, str]:
        """Which commands may not be decided; a server that goes away meanwhile is waited for."""
        suspects = Suspects(self._settings, self._encoders, self._commands, self._quarantine)
        while not self._stopping.is_set():
            try:
                self._quarantine.forget()
                return suspects.examine(engine, in_hand)
            except RedisError as error:
                log.warning("owner.server_away", extra={"error": str(error)})
                self._stopping.wait(_RETRY_S)
        return {}

    def _claim(self, engine: Recommender) -> None:
        """See to it that the partition is ours, or stop."""
        Ownership(self._redis, self._keys, self._identity(engine)).claim()

    def _identity(self, engine: Recommender) -> str:
        """What tells the state from any other."""
        return engine.identify(secrets.token_hex(16))

    def _keep_stream(self, engine: Recommender) -> None:
        """See to it that the commands stream is there, and that what is appended comes behind the position."""
        if self._commands.keep_above(engine.position):
            log.error("owner.stream_was_reset", extra={"position": str(engine.position)})

    def _serve_health(self) -> Callable[[], None]:
        if not self._settings.metrics_port:
            return lambda: None
        return serve_health(
            self._settings.metrics_host, self._settings.metrics_port, self._metrics.registry, self.status.health
        )


def state_directory(settings: Settings) -> Path:
    """Where the state of the partition lives."""
    return settings.state_dir / "state" / settings.partition


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
