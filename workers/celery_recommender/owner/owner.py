"""The owner's engine thread: from the state directory to the lease, then its work, and the end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.fitness import explained
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.patience import Connections
from celery_recommender.broker.redis.server_clock import ServerClock
from celery_recommender.fleet.making import make_fleet
from celery_recommender.owner.continuity.state_identity import StateIdentity
from celery_recommender.owner.delivery.threads import Carry
from celery_recommender.owner.interpreter.garbage import collected_by_the_clock
from celery_recommender.owner.leadership.lease_keeper import LeaseKeeper
from celery_recommender.owner.leadership.succession import Succession
from celery_recommender.owner.loop.inbox import Inbox
from celery_recommender.owner.poison.watchdog import watched
from celery_recommender.owner.resources import Resources
from celery_recommender.owner.telemetry.health import begin_health
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.owner.telemetry.status import Status
from celery_recommender.owner.tenure import Tenure
from celery_recommender.settings import Settings, naming
from celery_recommender.webhooks.endpoints import read_endpoints
from recommender_engine import Recommender, open_recommender
from recommender_engine.backups import Backup
from recommender_engine.embedding import Encoders
from recommender_engine.errors import ConfigurationError, StateError
from recommender_engine.event_log import event_log
from recommender_engine.items import DEFAULT_MODEL

log = event_log(__name__)


class Owner(threading.Thread):
    """Owns a partition from ``start()`` to ``stop()``: takes the lease, then works (`Tenure`).

    Args:
        settings: of the process; ``settings.partition`` is the partition.
        encoders: the embedding models.
        redis: makes a connection to the server that holds the streams; each thread has one of its own.
        carry: takes outcomes into Celery.
        notify_embed_worker: tells an embed worker that a request waits, by its id.
        on_end: called when the thread has ended, with what ended it or ``None`` after ``stop()``.

    Attributes:
        partition: its name.
        status: of the owner.
        elected: set when the partition is its own.
        ready: set when it decides.

    Raises:
        ConfigurationError: its partition is not among those that are listed, or an endpoint cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders,
        redis: Callable[[], Redis],
        carry: Carry,
        notify_embed_worker: Callable[[str], None],
        on_end: Callable[[BaseException | None], None] = lambda error: None,
    ) -> None:
        super().__init__(name="recommender-owner", daemon=True)
        settings.require_member()
        self.partition = settings.partition
        self._settings = settings
        self._on_end = on_end
        connect = Connections(redis)
        metrics = Metrics(settings.partition)
        self._resources = resources = Resources(
            settings,
            encoders,
            connect,
            carry,
            make_fleet(settings, encoders, connect, notify_embed_worker, metrics.fleet_batch),
            Inbox(settings.batch_tokens, settings.batch_items, 4 + settings.embed_window),
            metrics,
            Status(settings.stall_after_s),
            read_endpoints(settings.webhooks, settings.webhook_secret),
        )
        self.status, self.elected, self.ready = resources.status, resources.elected, resources.ready

    # -- for other threads ---------------------------------------------------------------------------------------------

    def ask(self, question: Callable[[Recommender], Any]) -> Future[Any]:
        """Ask the engine something between two batches."""
        return self._resources.inbox.ask(question)

    def back_up(self) -> Future[Backup]:
        """Make a backup beside the work, as soon as possible."""
        return self._resources.backup_requests.ask()

    def stop(self, timeout_s: float = 60.0) -> None:
        """Finish the current batch, publish, write snapshots, close. What a server that is away does not take is
        published at the next start."""
        self._resources.stopping.set()
        self._resources.inbox.close()
        self._resources.connect.await_end(self, timeout_s)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Own the partition until stopped."""
        error: BaseException | None = None
        try:
            self._own()
        except BaseException as caught:
            error = caught  # kept even if explaining it fails
            error = explained(caught, self._settings.redis_url)
            expected = isinstance(error, StateError | ConfigurationError)
            log.critical("owner.failed", exc_info=not expected, extra={"error": naming(error, self._settings)})
        finally:
            self._resources.inbox.close()
            self._resources.backup_requests.close()
            self._on_end(error)

    def _own(self) -> None:
        settings, resources = self._settings, self._resources
        with ExitStack() as stack:
            stack.callback(begin_health(settings, resources.metrics.registry, resources.status))
            stack.enter_context(collected_by_the_clock())
            if settings.standby:
                self._stand_by()
            redis, keys = resources.connect(), PartitionKeys.of(settings.partition, settings.key_prefix)
            lease = Lease(redis, keys, secrets.token_hex(16), settings.lease_s)
            succession = Succession(settings.partition_dir, lease, settings.standby, resources.stopping)
            engine = succession.open(lambda: self._open(lease))
            if engine is None:
                return
            stack.callback(self._close, engine)
            stack.callback(_release, lease)
            state = resources.patiently(lambda: engine.notes.identify(secrets.token_hex(16)))
            if state is None:
                return
            partition = HeldPartition(redis, keys, lease, ServerClock(redis), state)
            commands = CommandsLog(redis, keys)
            identity = StateIdentity(engine, partition, commands.proofs)

            def acquire() -> bool:
                partition.clock.adjust()
                identity.claim()
                return succession.acquire(engine)

            if not resources.patiently(acquire):
                return
            self.status.update(state="starting")
            resources.start(LeaseKeeper(lease), stack)
            Tenure(resources, engine, partition, commands).work()
        log.info("owner.closed")

    def _open(self, lease: Lease) -> Recommender:
        settings = self._settings
        return open_recommender(
            settings.partition_dir,
            self._resources.encoders,
            partition=settings.partition,
            created_by="celery-recommender",
            before_commit=lease.require,
            remote=self._resources.fleet,
            most_collections=settings.max_collections,
            message_rules=settings.message_rules,
        )

    def _stand_by(self) -> None:
        """Load the model while another process is the owner: it takes the longest at a takeover."""
        self._resources.encoders.encoder(DEFAULT_MODEL).encode(["ready"])
        self.status.update(state="standby")

    def _close(self, engine: Recommender) -> None:
        """Write snapshots and close. A model that hangs does not keep the process from ending."""
        with watched(self._settings.hang_after_s):
            engine.close()


def _release(lease: Lease) -> None:
    """Let the next owner in at once."""
    try:
        lease.release()
    except RedisError as error:
        log.warning("owner.lease_not_released", extra={"error": str(error)})
