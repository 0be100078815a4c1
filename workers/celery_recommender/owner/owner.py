"""The owner's engine thread: take what waits, decide and commit, publish, carry, trim."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.trimming import Trimming
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.coordination.quarantine import Quarantine
from celery_recommender.broker.events.stream import Bounds, EventsStream
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.fitness import explained
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.patience import Connections
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.fleet.making import make_fleet
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.continuity.event_keeper import EventKeeper
from celery_recommender.owner.continuity.recovery import Recovery
from celery_recommender.owner.delivery.dispatch import Dispatch
from celery_recommender.owner.delivery.forwarding import Forwarding
from celery_recommender.owner.delivery.publisher import Publisher
from celery_recommender.owner.delivery.threads import Carry
from celery_recommender.owner.leadership.checks import OwnershipChecks
from celery_recommender.owner.leadership.lease_keeper import LeaseKeeper
from celery_recommender.owner.leadership.membership import Membership
from celery_recommender.owner.leadership.succession import Succession
from celery_recommender.owner.loop.deciding import RETRY_S, Deciding
from celery_recommender.owner.loop.inbox import Inbox, Question
from celery_recommender.owner.loop.intake import Intake
from celery_recommender.owner.loop.reporting import Reporting
from celery_recommender.owner.loop.upkeep import Upkeep
from celery_recommender.owner.poison.in_hand import BatchInHand
from celery_recommender.owner.poison.isolation import PoisonIsolation
from celery_recommender.owner.poison.watchdog import limit_s, watched
from celery_recommender.owner.process.garbage import collected_by_the_clock
from celery_recommender.owner.process.priorities import warm_up
from celery_recommender.owner.telemetry.health import begin_health
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Announcer, Status
from celery_recommender.owner.telemetry.throughput import Throughput
from celery_recommender.settings import Settings, naming
from recommender_engine import Recommender, open_recommender
from recommender_engine.backups import Backup
from recommender_engine.embedding import Encoders
from recommender_engine.errors import ConfigurationError, StateError, StateFull
from recommender_engine.event_log import event_log
from recommender_engine.items import DEFAULT_MODEL, START, EntryId, Event

log = event_log(__name__)
_FLUSH_S = 10.0
_LATER: tuple[type[Exception], ...] = (*AWAY, StateFull)


class Owner(threading.Thread):
    """Owns a partition from ``start()`` to ``stop()``.

    Args:
        settings: of the process; ``settings.partition`` is the partition.
        encoders: the embedding models.
        redis: makes a connection to the server that holds the streams; each thread has one of its own.
        carry: takes outcomes into Celery.
        ask: has an embed worker look at a request, by its id.
        on_end: called when the thread has ended, with what ended it or ``None`` after ``stop()``.
    """

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders,
        redis: Callable[[], Redis],
        carry: Carry,
        ask: Callable[[str], None],
        on_end: Callable[[BaseException | None], None] = lambda error: None,
    ) -> None:
        super().__init__(name="recommender-owner", daemon=True)
        self._settings = settings
        self.partition = settings.partition
        self._encoders = encoders
        self._connect = redis = Connections(redis)
        self._on_end = on_end
        self._keys = PartitionKeys.of(settings.partition, settings.key_prefix)
        self._redis = redis()
        self._lease = Lease(self._redis, self._keys, secrets.token_hex(16), settings.lease_s)
        self._keeper = LeaseKeeper(self._lease)
        self._quarantine = Quarantine(self._redis, self._keys, self._lease)
        self._inbox = Inbox(settings.batch_tokens, settings.batch_items, 4 + settings.embed_window)
        self._metrics = Metrics(settings.partition)
        self._fleet = make_fleet(settings, encoders, redis, ask, self._metrics.fleet_batch)
        self._pace = Throughput()
        self.status = Status(settings.stall_after_s)
        self._stopping, self.elected, self.ready = (threading.Event() for _ in range(3))
        self._succession = Succession(settings.partition_dir, self._lease, settings.standby, self._stopping)
        self._clock = ServerClock(self._redis)
        self._commands = CommandsLog(self._redis, self._keys)
        events = EventsStream(self._redis, self._keys, Bounds.of(settings), self._lease)
        self._publisher = Publisher(events)
        self._dispatch = Dispatch(settings, self._commands, carry)
        self._trimming = Trimming(self._redis, self._keys, self._lease)
        self._recovery = Recovery(self._redis, self._keys)
        self._forwarding = Forwarding(settings, self._redis, self._lease, self._commands.proofs, self.status)
        self._membership = Membership(settings, redis(), self._recovery.passed_on, self._recovery.listed)
        self._backups = BackupKeeper(settings)
        told = self._clock, self._metrics, self.status
        log_of = self._redis, self._keys, self._commands
        self._holding = OwnershipChecks(*log_of, self._lease, self._trimming, self._backups, *told)
        self._reporting = Reporting(
            settings.most_waiting,
            self._redis,
            self._clock,
            self._commands,
            self._inbox,
            self._publisher,
            self._trimming,
            self._backups,
            self._pace,
            self._fleet,
            self._metrics,
            self.status,
        )
        self._upkeep = Upkeep(
            settings.outbox_hours,
            settings.outbox_max_bytes,
            self._holding,
            self._clock,
            self._commands,
            self._inbox,
            self._publisher,
            self._dispatch,
            self._backups,
            self._recovery,
            EventKeeper(settings, self._redis, self._keys, events, self._metrics),
            self._reporting,
            self._metrics,
            self.status,
        )

    # -- for other threads ---------------------------------------------------------------------------------------------

    def ask(self, question: Callable[[Recommender], Any]) -> Future[Any]:
        """Ask the engine something between two batches."""
        return self._inbox.ask(question)

    def back_up(self) -> Future[Backup]:
        """Make a backup beside the work, as soon as possible."""
        return self._backups.ask()

    def stop(self, timeout_s: float = 60.0) -> None:
        """Finish the batch in hand, publish, write snapshots, close; a silent server is told at the next start."""
        self._stopping.set()
        self._inbox.close()
        self._connect.await_end(self, timeout_s)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Own the partition until stopped."""
        error: BaseException | None = None
        try:
            self._own()
        except BaseException as caught:
            error = caught  # kept even if explaining it fails
            error = explained(caught, self._settings.redis_url)
            told = isinstance(error, StateError | ConfigurationError)
            log.critical("owner.failed", exc_info=not told, extra={"error": naming(error, self._settings)})
        finally:
            self._inbox.close()
            self._on_end(error)

    def _own(self) -> None:
        with ExitStack() as stack:
            stack.callback(begin_health(self._settings, self._metrics.registry, self.status.health))
            stack.enter_context(collected_by_the_clock())
            if self._settings.standby:
                self._stand_by()
            engine = self._succession.open(self._open)
            if engine is None:
                return
            stack.callback(self._close, engine)
            stack.callback(self._leave)
            if not self._take_over(engine, stack):
                return
            self.elected.set()
            announcer = Announcer(self.status, self._connect(), self._keys)
            announcer.start()
            stack.callback(announcer.stop)
            in_hand = BatchInHand(self._settings.partition_dir / "in-hand.json")
            stack.callback(in_hand.close)
            quarantined = self._bisect(engine, in_hand)
            warm_up(engine)
            self._patiently(lambda: self._membership.keep(engine))
            self.status.update(partitions=self._settings.all_partitions)  # others may wait for this
            self._patiently(lambda: self._membership.await_others(engine, self._stopping))
            if self._fleet is not None:
                self._fleet.start()
                stack.callback(self._fleet.close)
            intake = Intake(
                CommandsLog(self._connect(), self._keys),
                self._inbox,
                engine.position,
                self._recovery.read_at_ms,
                self._clock.now_ms,
                quarantined,
                self._holding.believed,
                self._membership.place,
                self._commands.proofs.permits,
            )
            self._holding.reads(lambda: intake.position)
            intake.start()
            stack.callback(intake.stop)
            stack.callback(self._dispatch.stop)
            self._patiently(lambda: self._dispatch.start(engine))
            stack.callback(self._backups.stop, engine)
            self._backups.start()
            self.status.update(state="running", encoder=self._encoders.encoder(DEFAULT_MODEL).identity.variant)
            self.ready.set()
            log.info("owner.ready", extra={"partition": self._settings.partition, "position": str(engine.position)})
            self._loop(engine, intake, self._deciding(in_hand))
            in_hand.put_down()
            intake.stop()
            self._finish(engine)
        log.info("owner.closed")

    def _loop(self, engine: Recommender, intake: Intake, deciding: Deciding) -> None:
        while not self._stopping.is_set():
            intake.check()
            self._keeper.check()
            entries, questions = self._inbox.take(self._dispatch.idle_s)
            if entries:
                self.status.working()
            for part in self._recovery.parts(entries):
                deciding.decide(engine, part)
                self._patiently(lambda: self._recovery.follow(engine))
            self._publish(engine)
            self._forwarding.send(engine)
            self._membership.forget_routes(engine)
            if entries:
                self._after_batch(engine)
            self._offer(engine)
            self._answer(engine, questions)
            self.status.rest()
            self._upkeep.tend(engine)

    def _deciding(self, in_hand: BatchInHand) -> Deciding:
        return Deciding(
            self._inbox,
            in_hand,
            self._settings.hang_after_s,
            self._stopping,
            self._fleet,
            self._note_committed,
            self._bide,
        )

    def _note_committed(self, commands: int, events: list[Event], seconds: float) -> None:
        self._metrics.committed(commands, events, seconds)
        self._pace.count(commands, seconds)
        self._trimming.committed(commands)
        self._membership.committed(() if self._recovery.running else events)

    def _answer(self, engine: Recommender, questions: Sequence[Question]) -> None:
        for question in questions:
            with watched(limit_s(self._settings.hang_after_s, 1)):
                question.settle(engine)

    def _bide(self, engine: Recommender) -> None:
        """Before a batch is tried again: answer questions, say how much waits, see whether it is still ours to try."""
        self._keeper.check()
        self._answer(engine, self._inbox.take_questions(RETRY_S))
        try:
            self._reporting.report(engine)
        except AWAY as error:
            log.warning("owner.upkeep_failed", extra={"error": str(error)})

    def _after_batch(self, engine: Recommender) -> None:
        """Make room for producers and tell those who wait for the position, now that its events are out."""
        try:
            self._holding.trim(engine)
        except AWAY as error:
            if not isinstance(error, OutOfMemoryError):  # a full server has lost nothing
                self._holding.doubt()
            log.warning("owner.trim_failed", extra={"error": str(error)})
        self.status.update(position=str(engine.position), held=self._trimming.held, passing=engine.moves.passing())

    def _publish(self, engine: Recommender) -> None:
        """Publish what is committed; a server that is away gets it later."""
        with self._metrics.stage("publish"):
            published = self._publisher.publish(engine)
        if not published:
            if not self._publisher.certain:
                self._holding.doubt()
            self._stopping.wait(RETRY_S)

    def _offer(self, engine: Recommender) -> None:
        """Hand outcomes to the courier; while the server is away nobody can be told."""
        try:
            self._dispatch.offer(engine)
        except AWAY as error:
            log.warning("owner.offer_failed", extra={"error": str(error)})

    def _finish(self, engine: Recommender) -> None:
        """Ordered end: publish, let the courier finish, trim. What cannot be done now is done at the next start."""
        steps: tuple[Callable[[], object], ...] = (
            lambda: self._publish(engine),
            lambda: self._forwarding.send(engine),
            lambda: self._dispatch.offer(engine),
            lambda: self._dispatch.finish(engine, 0.0 if self._connect.hurried else _FLUSH_S),
            lambda: self._holding.trim(engine),
        )
        for step in steps:
            try:
                step()
            except _LATER as error:
                log.warning("owner.not_finished", extra={"error": str(error)})

    # -- start ---------------------------------------------------------------------------------------------------------

    def _open(self) -> Recommender:
        return open_recommender(
            self._settings.partition_dir,
            self._encoders,
            partition=self._settings.partition,
            created_by="celery-recommender",
            before_commit=self._lease.require,
            remote=self._fleet,
            most_collections=self._settings.max_collections,
            message_rules=self._settings.message_rules,
        )

    def _stand_by(self) -> None:
        """Have ready what takes long, so that little is left to do when the turn comes."""
        self.status.update(state="standby")
        self._encoders.encoder(DEFAULT_MODEL).encode(["ready"])

    def _take_over(self, engine: Recommender, stack: ExitStack) -> bool:
        """Become the owner, however long it takes; false when stopped before."""

        def acquire() -> None:
            self._clock.adjust()
            self._holding.claim(engine)
            self._succession.acquire(engine)

        def look_around() -> None:
            known = self._holding.begin(engine)
            recover = self._recovery.begin if known or engine.position != START else None
            self._publisher.take_over(engine, recover)

        self._patiently(acquire)
        if self._stopping.is_set():
            return False
        self._keeper.start()  # what comes now can take long
        stack.callback(self._keeper.stop)
        self._patiently(look_around)
        return not self._stopping.is_set()

    def _patiently(self, step: Callable[[], object]) -> None:
        """Do a step as soon as the server answers and the disk has room, unless stopped before."""
        while not self._stopping.is_set():
            try:
                step()
            except _LATER as error:
                self._keeper.check()
                event = "owner.disk_full" if isinstance(error, StateFull) else "owner.server_away"
                log.warning(event, extra={"error": naming(error)})
                self._stopping.wait(RETRY_S)
            else:
                return

    def _close(self, engine: Recommender) -> None:
        """Write snapshots and close. A model that hangs does not keep the process from ending."""
        with watched(self._settings.hang_after_s):
            engine.close()

    def _leave(self) -> None:
        """Let the next one in at once."""
        try:
            self._lease.release()
        except RedisError as error:
            log.warning("owner.lease_not_released", extra={"error": str(error)})

    def _bisect(self, engine: Recommender, in_hand: BatchInHand) -> dict[EntryId, str]:
        """Which commands may not be decided; a server that goes away meanwhile is waited for."""
        suspects = PoisonIsolation(self._settings, self._encoders, self._commands, self._quarantine)
        found: dict[EntryId, str] = {}

        def bisect_batch() -> None:
            self._quarantine.forget()
            found.update(suspects.bisect_batch(engine, in_hand))

        self._patiently(bisect_batch)
        return found
