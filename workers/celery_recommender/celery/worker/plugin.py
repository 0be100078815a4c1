"""Plugs the recommender into a Celery app: its tasks, and the owner in a worker started with ``--recommender``."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import click
from celery import Celery
from celery.worker import state as worker_state
from kombu.entity import Queue
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.encoding import CommandFields
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import connect, masked
from celery_recommender.broker.redis.fitness import require_fit, require_usable
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.routing.partitions import Partitions
from celery_recommender.celery.messages.parts import tell_what_is_missing
from celery_recommender.celery.tasks.commands import TASKS
from celery_recommender.celery.tasks.embed import Embed, asking
from celery_recommender.celery.tasks.result_check import ResultCheck, ResultMarker
from celery_recommender.celery.worker.app_server import with_server_of
from celery_recommender.celery.worker.bootstep import make_owner_step
from celery_recommender.settings import Settings, wait_passively
from recommender_engine.errors import ConfigurationError
from recommender_engine.event_log import event_log
from recommender_engine.items.limits import MAX_WINDOWS

if TYPE_CHECKING:
    from celery_recommender.celery.tasks.memory import InMemory, Kit
    from celery_recommender.fleet.serving import EmbedServing, Guard
    from celery_recommender.owner.owner import Owner
    from recommender_engine.embedding import Encoders, ModelCatalogue, ModelSource

log = event_log(__name__)

_GRACE_S = 30.0
_LOOK_EVERY_S = 0.1


class Plugin:
    """Shared by our tasks and the owner in one process.

    Nothing is connected before it is used, and nothing imported that only an owner or an embed worker needs.

    Args:
        app: the Celery app.
        settings: of this process.
        encoders: embedding models to use instead of those the settings name.

    Attributes:
        owner: the owner, while one runs in this process.
        kit: what answers the tasks of all apps instead, while a test kit is at work (``celery_recommender.testing``).
        guard: context around the embedding of a number of texts for others.
    """

    kit: ClassVar[Kit | None] = None

    def __init__(self, app: Celery, settings: Settings, encoders: Encoders | None = None) -> None:
        self.app = app
        self.settings = settings
        self.owner: Owner | None = None
        self.guard: Guard = lambda texts: nullcontext()
        self._given = encoders
        self._partitions: Partitions | None = None
        self._memory: InMemory | None = None
        self._results = ResultCheck(app)
        self._marker: ResultMarker | None = None
        self._looked_for: set[str] = set()
        self._fit = ""
        self._pid = os.getpid()
        self._lock = threading.Lock()

    @cached_property
    def encoders(self) -> Encoders:
        """The embedding models; none is loaded before it is used.

        Only a process that embeds (owner or embed worker) comes here: there the model's threads are set to sleep
        while they wait, before torch is imported. A producer's environment is not changed.
        """
        wait_passively()
        return self._given or catalogue(self.settings)

    @cached_property
    def _serving(self) -> EmbedServing:
        from celery_recommender.fleet.serving import EmbedServing

        require_usable(self.located().redis_url)
        return EmbedServing(self.encoders, self._connect, self.guard)

    def located(self) -> Settings:
        """The settings with a server: what they name, or else the app's broker. The app is asked at the first use.

        Raises:
            ConfigurationError: they name none, and the app's broker cannot be it.
        """
        self.settings = with_server_of(self.app, self.settings)
        return self.settings

    @property
    def memory(self) -> InMemory | None:
        """The engine in this process: the test kit's, or with ``task_always_eager`` one of the app's own."""
        if self.kit is not None:
            return self.kit
        if self.owner is not None or not self.app.conf.task_always_eager:
            return None
        from celery_recommender.celery.tasks.memory import InMemory

        with self._lock:
            if self._memory is None:
                self._memory = InMemory(self.settings)
                weakref.finalize(self, self._memory.close)
                log.info("tasks.answered_in_memory", extra={"setting": "task_always_eager"})
            return self._memory

    def register_tasks(self, **_: object) -> None:
        """Make our tasks known to the app, each as a subclass: Celery keeps what a task is bound to on its class."""
        for task in (*TASKS, Embed):
            queue = _queue(self.settings.embed_queue) if task is Embed else self.queue_of(self.settings.home)
            bound = type(task.__name__, (task,), {"port": self, "own_queue": queue, "__module__": task.__module__})
            self.app.register_task(bound())
        if self.kit is not None:
            self.kit.adopt(self.app)

    def embed(self, partition: str, request_id: str) -> bool:
        """Embed what the owner of a partition has asked for; false if it is not wanted any more."""
        settings = self.located()
        name = settings.replaced(partition=partition).partition  # of a name that can be one
        keys = PartitionKeys.of(name, settings.key_prefix)
        return self._serving.answer(keys, request_id)

    def append(
        self, commands: Sequence[CommandFields], requests: dict[str, str], collection: str | None = None
    ) -> None:
        """Append commands to the log of a collection, with the Celery requests that wait for their outcome."""
        partitions = self._connected()
        (*_, last) = partitions.append(collection, list(commands), requests)
        if last.partition not in self._looked_for:
            self._looked_for.add(last.partition)
            self._look_for_owner(partitions.of(last.partition).keys, last.partition)

    def _look_for_owner(self, keys: PartitionKeys, partition: str) -> None:
        """Once for each partition: log where commands go while no owner reads them."""
        with suppress(RedisError):
            if read_status(self._connect(), keys) is None:
                server = masked(self.located().redis_url)
                advice = "commands wait until a worker with this server owns the partition"
                log.warning(
                    "producer.no_owner",
                    extra={"partition": partition, "server": server, "key": keys.commands, "advice": advice},
                )

    @property
    def several(self) -> bool:
        """Whether there are several partitions."""
        return len(self.settings.all_partitions) > 1

    def partition_of(self, collection: str | None) -> str:
        """The partition that a collection belongs to."""
        if not self.settings.partitions:
            return self.settings.home
        return self._connected().routing.partition_of(collection)

    def queue_of(self, partition: str) -> Queue:
        """The queue that a partition's owner consumes."""
        return _queue(PartitionKeys.of(partition).queue)

    def require_results(self, partition: str) -> None:
        """See to it that this app can read what the owner of a partition answers.

        Raises:
            ConfigurationError: it cannot.
        """
        if self.owner is not None:  # in its own process they are its own
            return
        one = self._connected().of(partition)
        self._results.require(one.redis, one.keys, partition)

    def how_it_stands(self) -> str:
        """A sentence on why a result may not come; may be empty."""
        home = self.settings.home
        try:
            settings = self.located()
            status = read_status(self._connect(), PartitionKeys.of(home, settings.key_prefix))
        except (RedisError, ConfigurationError) as error:
            return f"the server of the streams cannot be used: {error}"
        server = masked(settings.redis_url)
        if status is None:
            return f"no worker owns the partition {home!r} on {server}: start one with this server"
        where = (status.get("results") or {}).get("where", "unknown")
        return (
            f"the owner of {home!r} on {server} is {status['state']}, {status.get('lag', 0)} commands wait, its results"
            f" go to {where}; `recommender doctor` looks at the rest"
        )

    def _connected(self) -> Partitions:
        with self._lock:
            if self._partitions is None or self._pid != os.getpid():  # a forked child has connections of its own
                require_usable(self.located().redis_url)
                self._partitions, self._pid = Partitions(self._connect(), self.located()), os.getpid()
            return self._partitions

    def start_owner(self, partition: str) -> Owner:
        """Own ``partition`` in this process, on a thread of its own."""
        from celery_recommender.celery.worker.result_delivery import ResultDelivery, queue_of_deliveries
        from celery_recommender.owner.owner import Owner

        tell_what_is_missing()
        self.settings = self.located().replaced(partition=partition)
        self._partitions = None
        deliver = ResultDelivery(self.app, self.settings, self._connect())
        self.owner = Owner(
            self.settings, self.encoders, self._connect, deliver, asking(self.app, self.settings), _end_worker
        )
        self.owner.status.update(deliver_queue=queue_of_deliveries(self.app, self.settings))
        self._marker = ResultMarker(self.app, partition, self.owner.status, self.owner.elected)
        self._marker.start()
        self.owner.start()
        if self.settings.standby:
            self._await_election(self.owner)
        return self.owner

    def stop_owner(self) -> None:
        """Stop it, in order."""
        if self._marker is not None:
            self._marker.stop()
        if self.owner is not None:
            self.owner.stop()
            self.owner = None

    def _await_election(self, owner: Owner) -> None:
        """A standby takes no task from the queue: the questions in it are for the owner."""
        while owner.is_alive() and not owner.elected.wait(_LOOK_EVERY_S):
            worker_state.maybe_shutdown()  # raises what Celery ends with

    def require_fit(self, partition: str) -> None:
        """See to it that an owner can run on the server; looked at once.

        Raises:
            ConfigurationError: it cannot, or there is none.
        """
        if self._fit != partition:
            require_fit(self.located().replaced(partition=partition))
            self._fit = partition

    def _connect(self) -> Redis:
        return connect(self.located().redis_url)


def attach(app: Celery, settings: Settings | None = None, encoders: Encoders | None = None) -> Plugin:
    """Plug the recommender into a Celery app; its other tasks, workers and queues are left as they are.

    Registers the ``recommender.*`` tasks, on a queue of their own, and adds the option ``--recommender PARTITION`` to
    ``celery worker``. A worker started without that option is not changed in any way.

    Args:
        app: the app.
        settings: read from the environment by default. Where they name no Redis server, the app's broker is taken, if
            it is Redis or Valkey, with its ``global_keyprefix``; if it is not, the first use of a task raises
            ``ConfigurationError``; so it does where the server cannot be used. No server is started.
        encoders: embedding models to use instead of those the settings name.
    """
    plugin = Plugin(app, settings or Settings.from_environment(), encoders)
    # Registering a task finalises the app, which would be too early here: what the user connects to its signals and
    # configures below this call must still have its effect.
    app.on_after_finalize.connect(plugin.register_tasks, weak=False)
    if app.finalized:
        plugin.register_tasks()
    option = click.Option(
        ("--recommender",), metavar="PARTITION", help="Own this partition: read its commands, decide, publish."
    )
    app.user_options["worker"].add(option)
    app.steps["worker"].add(make_owner_step(plugin.require_fit, plugin.start_owner, plugin.stop_owner))
    return plugin


def catalogue(settings: Settings, *more: ModelSource) -> ModelCatalogue:
    """The models that the settings declare, beside those that are known, those that are registered, and ``more``."""
    from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue, ModelRegistry, parse_source

    declared = (parse_source(spec) for spec in settings.models)
    by_name = {source.name: source for source in (*KNOWN_MODELS, *declared, *more)}
    windows = MAX_WINDOWS if settings.long_texts == "windows" else 1
    return ModelCatalogue(
        by_name.values(),
        settings.threads,
        settings.encoder,
        settings.state_dir / "cache",
        windows,
        ModelRegistry(settings.registered_models),
    )


def _queue(name: str) -> Queue:
    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]


def _end_worker(error: BaseException | None) -> None:
    """The owner has ended: without it this worker is of no use, so end it with a code that makes a supervisor act."""
    if error is None:
        return
    code = os.EX_CONFIG if isinstance(error, ConfigurationError) else os.EX_SOFTWARE
    worker_state.should_stop = code
    timer = threading.Timer(_GRACE_S, os._exit, (code,))  # in case the main thread does not come round
    timer.daemon = True
    timer.start()
