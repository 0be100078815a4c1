"""How the owner is: counted for the metrics, and told in its status."""

from __future__ import annotations

from typing import Any

from redis import Redis

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.trimming import Trimming
from celery_recommender.broker.redis.connections import memory_share
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.fleet.fleet import Fleet
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.delivery.publisher import Publisher
from celery_recommender.owner.loop.inbox import Inbox
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Status
from celery_recommender.owner.telemetry.throughput import Throughput
from recommender_engine import Recommender

_MOST_CLOSED_TOLD = 20  # collections, of those in which a precision is not measured


class Reporting:
    """Looks at everything once and says what it sees.

    Args:
        most_waiting: at how many waiting commands producers are refused; 0: never.
        redis: the server.
        clock: its time.
        commands: the commands stream.
        inbox: what has been read ahead of it.
        publisher: of events.
        trimming: which knows how many commands are kept for a backup.
        backups: the backups.
        pace: how fast it goes.
        fleet: the embed workers, if there are to be any.
        metrics: where to count.
        status: where to tell.
    """

    def __init__(
        self,
        most_waiting: int,
        redis: Redis,
        clock: ServerClock,
        commands: CommandsLog,
        inbox: Inbox,
        publisher: Publisher,
        trimming: Trimming,
        backups: BackupKeeper,
        pace: Throughput,
        fleet: Fleet | None,
        metrics: Metrics,
        status: Status,
    ) -> None:
        self._most_waiting = most_waiting
        self._redis = redis
        self._clock = clock
        self._commands = commands
        self._inbox = inbox
        self._publisher = publisher
        self._trimming = trimming
        self._backups = backups
        self._pace = pace
        self._fleet = fleet
        self._metrics = metrics
        self._status = status

    def report(self, engine: Recommender) -> None:
        """Say how it goes.

        Raises:
            RedisError: the server is away.
        """
        items, points = engine.sizes()
        self._metrics.index(points)
        self._metrics.review(engine.review_share())
        self._metrics.kept(engine.kept_bytes())
        if recalls := engine.recalls():
            self._metrics.recall(min(recalls.values()))
        self._metrics.unpublished(self._publisher.backlog(engine))
        passing = engine.moves.passing()
        self._metrics.passing(passing)
        held = self._trimming.held
        lag, oldest_s = self._backlog(engine, held)
        self._metrics.backlog(lag, oldest_s)
        self._metrics.room(self._most_waiting, memory_share(self._redis) or 0.0)
        self._metrics.backups(self._backups.current_at, self._backups.failures, held)
        self._status.update(
            position=str(engine.position),
            items=items,
            lag=lag,
            held=held,
            passing=passing,
            not_measured={
                name: [one.model_dump(mode="json") for one in closed]
                for name, closed in engine.promises.closed_anywhere(_MOST_CLOSED_TOLD).items()
            },
            moving=engine.moves.under_way(),
            oldest_waiting_s=oldest_s,
            commands_per_s=round(self._pace.per_s, 1),
            **self._backups.told(),
            **self._told_of_fleet(),
        )

    def _told_of_fleet(self) -> dict[str, Any]:
        if self._fleet is None:
            return {}
        told = self._fleet.status()
        self._metrics.fleet(told["workers"], told["expected"], told["in_flight"])
        return {"fleet": told}

    def _backlog(self, engine: Recommender, held: int) -> tuple[int, float]:
        """How many commands wait, and for how many seconds the oldest has waited."""
        ahead = self._inbox.oldest()
        oldest_ms = self._commands.oldest_waiting_ms(engine.position) if ahead is None else ahead.ms
        if oldest_ms is None:
            return 0, 0.0
        return max(1, self._commands.length() - held), max(0.0, (self._clock.now_ms() - oldest_ms) / 1000)
