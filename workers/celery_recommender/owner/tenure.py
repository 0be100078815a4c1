"""What an owner does once it has the lease: take what waits, decide and commit, publish, deliver, trim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from redis.exceptions import OutOfMemoryError

from celery_recommender.broker.commands.log import CommandsLog, decode
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.coordination.quarantine import Quarantine
from celery_recommender.broker.events.stream import Bounds, EventsStream
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.continuity.commands_keeper import CommandsKeeper
from celery_recommender.owner.continuity.event_keeper import EventKeeper
from celery_recommender.owner.continuity.recovery import Recovery
from celery_recommender.owner.continuity.state_identity import StateIdentity
from celery_recommender.owner.deciding import Decided, Deciding
from celery_recommender.owner.delivery.dispatch import Dispatch
from celery_recommender.owner.delivery.forwarding import Forwarding
from celery_recommender.owner.delivery.publisher import Publisher
from celery_recommender.owner.delivery.webhook_lane import webhook_feeds
from celery_recommender.owner.interpreter.priorities import warm_up
from celery_recommender.owner.loop.building import Building
from celery_recommender.owner.loop.inbox import Question
from celery_recommender.owner.loop.intake import Intake
from celery_recommender.owner.loop.partition_routing import PartitionRouting
from celery_recommender.owner.loop.reporting import (
    backlog_facts,
    backup_facts,
    delivery_facts,
    fleet_facts,
    server_facts,
    state_facts,
)
from celery_recommender.owner.loop.upkeep import StateChores, Upkeep, tick
from celery_recommender.owner.poison.in_hand import BatchInHand
from celery_recommender.owner.poison.isolation import PoisonIsolation
from celery_recommender.owner.poison.watchdog import limit_s, watched
from celery_recommender.owner.resources import LATER, RETRY_S, Resources
from celery_recommender.owner.telemetry.latency import Latencies
from celery_recommender.owner.telemetry.spans import Spans
from celery_recommender.owner.telemetry.status import StatusPublisher
from celery_recommender.owner.telemetry.throughput import Throughput
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import DEFAULT_MODEL, START, Entry, EntryId

log = event_log(__name__)

_FLUSH_S = 10.0


class Tenure:
    """The work of an owner from the lease to its end; everything here runs on the engine thread.

    Args:
        resources: what the owner had before.
        engine: over the state of the partition.
        partition: whose lease it has.
        commands: the commands stream.
    """

    def __init__(
        self, resources: Resources, engine: Recommender, partition: HeldPartition, commands: CommandsLog
    ) -> None:
        settings, metrics = resources.settings, resources.metrics
        self._resources = resources
        self._engine = engine
        self._partition = partition
        self._commands = commands
        events = EventsStream(partition.redis, partition.keys, Bounds.of(settings), partition.lease)
        self._publisher = Publisher(engine, events)
        webhooks = webhook_feeds(resources.endpoints, commands, settings.webhook_retry_s, metrics.webhook_events)
        self._dispatch = Dispatch(engine, settings, commands, resources.carry, webhooks)
        self._forwarding = Forwarding(engine, settings, partition, commands.proofs)
        self._recovery = Recovery(engine, partition.redis, partition.keys)
        self._routing = PartitionRouting(
            engine, settings, resources.connect(), self._recovery.passed_on, self._recovery.listed
        )
        self._backups = BackupKeeper(engine, settings, resources.backup_requests)
        self._commands_keeper = CommandsKeeper(
            engine, partition, commands, lambda: resources.inbox.read, self._backups, metrics
        )
        self._event_keeper = EventKeeper(engine, settings, partition, events, metrics)
        self._throughput = Throughput()
        self._latencies = Latencies()
        self._spans = Spans(settings.partition)
        self._building = Building(engine, settings.hang_after_s)
        self._facts = self._make_facts()
        self._upkeep = self._make_upkeep()

    def _make_facts(self) -> tuple[Callable[[], dict[str, Any]], ...]:
        """Fields of the status as they are now; each sets the gauges that belong to them."""
        resources, engine, metrics = self._resources, self._engine, self._resources.metrics
        keeper = self._commands_keeper
        return (
            self._event_keeper.facts,
            partial(delivery_facts, self._dispatch, metrics),
            self._forwarding.facts,
            keeper.facts,
            partial(state_facts, engine, self._publisher, metrics),
            self._backlog_facts,
            self._throughput.facts,
            partial(server_facts, self._partition, resources.settings.most_waiting, metrics),
            lambda: backup_facts(self._backups, keeper.held, metrics),
            partial(fleet_facts, resources.fleet, metrics),
        )

    def _make_upkeep(self) -> Upkeep:
        resources, engine, clock = self._resources, self._engine, self._partition.clock
        state = StateChores(engine, resources.settings, lambda: self._dispatch.sent(self._publisher.published))
        return Upkeep(
            (
                self._dispatch.acknowledge,
                self._backups.tend,
                state.tidy,
                state.snapshot,
                # Those below need the server.
                StateIdentity(engine, self._partition, self._commands.proofs).claim,
                self._publisher.check,
                self._event_keeper.tend,  # before anything is written: it makes room on a server that is full
                self._commands_keeper.tend,
                clock.adjust,
                self._tick,
                self._report,
            ),
            self._commands_keeper.doubt,
        )

    def work(self) -> None:
        """Check state and streams, decide until the owner is stopped, end in order."""
        resources = self._resources
        resources.patiently(self._take_over)
        if resources.stopping.is_set():
            return
        resources.elected.set()
        with ExitStack() as stack:
            resources.start(StatusPublisher(resources.status, resources.connect(), self._partition.keys), stack)
            in_hand = BatchInHand(resources.settings.partition_dir / "in-hand.json")
            stack.callback(in_hand.close)
            quarantined = self._isolate_poison(in_hand)
            warm_up(self._engine)
            self._join_partitions()
            if resources.fleet is not None:
                resources.fleet.start()
                stack.callback(resources.fleet.close)
            intake = self._make_intake(quarantined)
            resources.start(intake, stack, timeout_s=0.0)  # it may wait for the inbox, which is closed later
            stack.callback(self._dispatch.stop)
            resources.patiently(self._dispatch.start)
            resources.threads.extend(self._dispatch.threads)
            stack.callback(self._backups.stop)
            self._backups.start()
            self._note_ready()
            self._loop(Deciding(self._engine, resources, in_hand, self._between_attempts))
            in_hand.put_down()
            intake.stop(timeout_s=0.0)
            self._finish()

    # -- start ---------------------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Make sure that state, commands and events belong together."""
        known = self._commands_keeper.begin()
        recover = self._recovery.begin if known or self._engine.position != START else None
        self._publisher.take_over(recover)

    def _isolate_poison(self, in_hand: BatchInHand) -> dict[EntryId, str]:
        """Which commands may not be decided, and why."""
        resources = self._resources
        quarantine = Quarantine(self._partition.redis, self._partition.keys, self._partition.lease)
        isolation = PoisonIsolation(resources.settings, resources.encoders, self._commands, quarantine)

        def isolate() -> dict[EntryId, str]:
            quarantine.forget()
            return isolation.bisect_batch(self._engine, in_hand)

        return resources.patiently(isolate) or {}

    def _join_partitions(self) -> None:
        resources = self._resources
        resources.patiently(self._routing.keep)
        resources.status.update(partitions=resources.settings.all_partitions)  # new partitions wait for this
        resources.patiently(lambda: self._routing.await_others(resources.stopping))

    def _make_intake(self, quarantined: dict[EntryId, str]) -> Intake:
        resources, keys = self._resources, self._partition.keys

        def decoded(id_: EntryId, fields: Fields) -> Entry:
            read_ms = self._recovery.read_at_ms(id_, self._partition.clock.now_ms())
            entry = decode(id_, fields, read_ms, quarantined.get(id_), self._commands.proofs.permits)
            return self._routing.route(entry)

        log_ahead = CommandsLog(resources.connect(), keys)
        return Intake(log_ahead, resources.inbox, self._engine.position, self._commands_keeper.last_trusted, decoded)

    def _note_ready(self) -> None:
        resources = self._resources
        variant = resources.encoders.encoder(DEFAULT_MODEL).identity.variant
        resources.status.update(state="running", encoder=variant)
        resources.ready.set()
        position = str(self._engine.position)
        log.info("owner.ready", extra={"partition": resources.settings.partition, "position": position})

    # -- work ----------------------------------------------------------------------------------------------------------

    def _loop(self, deciding: Deciding) -> None:
        resources = self._resources
        while not resources.stopping.is_set():
            resources.check_threads()
            entries, questions = resources.inbox.take(self._building.idle_s(self._dispatch.idle_s))
            if entries:
                resources.status.working()
            for part in self._recovery.parts(entries):
                for decided in deciding.decide(part):
                    self._note_committed(decided)
                resources.patiently(self._recovery.follow)
            self._publish()
            self._forwarding.send()
            self._routing.forget_routes()
            if entries:
                self._after_batch()
            self._offer()
            self._answer(questions)
            self._building.some(len(entries))
            resources.status.rest()
            self._upkeep.tend()

    def _note_committed(self, decided: Decided) -> None:
        self._resources.metrics.committed(decided.entries, decided.events, decided.seconds)
        self._throughput.count(decided.entries, decided.seconds)
        if not self._recovery.running:  # what is decided again was published before
            self._latencies.committed(decided.events)
            self._spans.committed(decided.events, decided.seconds)
        self._commands_keeper.committed(decided.entries)
        self._routing.committed(() if self._recovery.running else decided.events)

    def _answer(self, questions: Sequence[Question]) -> None:
        for question in questions:
            with watched(limit_s(self._resources.settings.hang_after_s, 1)):
                question.settle(self._engine)

    def _between_attempts(self) -> None:
        """Before a batch is tried again: check the lease, answer questions, report the backlog."""
        self._resources.check_threads()
        self._answer(self._resources.inbox.take_questions(RETRY_S))
        try:
            self._report()
        except AWAY as error:
            log.warning("owner.upkeep_failed", extra={"error": str(error)})

    def _after_batch(self) -> None:
        """Make room for producers, and show the position, now that its events are published."""
        try:
            self._commands_keeper.trim()
        except AWAY as error:
            if not isinstance(error, OutOfMemoryError):  # a full server has lost nothing
                self._commands_keeper.doubt()
            log.warning("owner.trim_failed", extra={"error": str(error)})
        self._resources.status.update(
            position=str(self._engine.position),
            held=self._commands_keeper.held,
            passing=self._engine.moves.passing(),
        )

    def _publish(self) -> None:
        """Publish what is committed; if the server is away, it is published later."""
        with self._resources.metrics.stage("publish"):
            published = self._publisher.publish()
        if published:
            self._spans.published()
            self._resources.metrics.published(self._latencies.published(self._partition.clock.now_ms()))
            return
        if not self._publisher.certain:
            self._commands_keeper.doubt()
        self._resources.stopping.wait(RETRY_S)

    def _report(self) -> None:
        for facts in self._facts:
            self._resources.status.update(**facts())

    def _tick(self) -> None:
        if len(self._resources.inbox) == 0 and not self._recovery.running:
            tick(self._engine, self._commands, self._partition.clock.now_ms())

    def _backlog_facts(self) -> dict[str, Any]:
        position, ahead = self._engine.position, self._resources.inbox.oldest()
        facts = backlog_facts(self._partition, self._commands, position, ahead, self._commands_keeper.held)
        self._resources.metrics.backlog(facts["lag"], facts["oldest_waiting_s"])
        return facts

    def _offer(self) -> None:
        """Hand outcomes to the delivery threads; if the server is away, they are handed over later."""
        try:
            self._dispatch.offer()
        except AWAY as error:
            log.warning("owner.offer_failed", extra={"error": str(error)})

    # -- end -----------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Publish, let deliveries finish, trim. What cannot be done now is done at the next start."""
        flush_s = 0.0 if self._resources.connect.hurried else _FLUSH_S
        steps: tuple[Callable[[], object], ...] = (
            self._publish,
            self._forwarding.send,
            self._dispatch.offer,
            lambda: self._dispatch.finish(flush_s),
            self._commands_keeper.trim,
        )
        for step in steps:
            try:
                step()
            except LATER as error:
                log.warning("owner.not_finished", extra={"error": str(error)})
