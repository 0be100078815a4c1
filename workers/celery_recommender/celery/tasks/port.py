"""The base of our tasks, and their interface to the process they run in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from celery import Task
from kombu import serialization
from kombu.entity import Queue

from celery_recommender.broker.commands.encoding import CommandFields
from celery_recommender.celery.tasks.results import LookedUpResult
from celery_recommender.owner.delivery.replies import MOST_COMMANDS
from recommender_engine.errors import InvalidCommand

if TYPE_CHECKING:
    from celery_recommender.celery.tasks.memory import InMemory
    from celery_recommender.owner.owner import Owner

MOST_ITEMS = MOST_COMMANDS
"""Items that one call of a task takes or gives."""


class Port(Protocol):
    """The interface of tasks to the process they run in."""

    @property
    def owner(self) -> Owner | None:
        """The owner that runs in this process, if one does."""

    @property
    def memory(self) -> InMemory | None:
        """The engine that answers instead of an owner, if tasks are answered in the process that calls them."""

    def embed(self, partition: str, request_id: str) -> bool:
        """Embed what the owner of a partition has asked for; false if it is not wanted any more."""

    def append(
        self, commands: Sequence[CommandFields], requests: dict[str, str], collection: str | None = None
    ) -> None:
        """Append commands to the log of a collection, with the Celery requests that wait for their outcome."""

    @property
    def several(self) -> bool:
        """Whether there are several partitions."""

    def partition_of(self, collection: str | None) -> str:
        """The partition that a collection belongs to."""

    def queue_of(self, partition: str) -> Queue:
        """The queue that a partition's owner consumes."""

    def require_results(self, partition: str) -> None:
        """See to it that this app can read what the owner of a partition answers."""

    def how_it_stands(self) -> str:
        """A sentence on why a result may not come; may be empty."""


class PortTask(Task):
    """Base of our tasks: JSON only, on a queue that only the owner consumes, given back if its worker dies."""

    abstract = True
    port: ClassVar[Port]
    own_queue: ClassVar[Queue]  # not ``queue``, of which Celery warns
    serializer = "json"
    priority = 0  # whatever task_default_priority says: a reader with other priority_steps would not look there
    acks_late = True
    reject_on_worker_lost = True
    typing = True
    throws = (InvalidCommand,)  # the caller's mistake is told to the caller; no traceback in the worker's log

    def about(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The collection that a call is about, if it is about one."""
        return None

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """As Celery's; unless the call says otherwise it goes to the owner of the collection that it is about.

        Raises:
            ConfigurationError: the result could not be read here; or there is no server for the streams.
        """
        if self.port.memory is not None:
            return self._here(args or (), kwargs or {}, options)
        if "queue" not in options:
            collection = self.about(args or (), kwargs or {})
            partition = self.port.partition_of(collection)
            if not options.get("ignore_result", self.ignore_result):
                self.port.require_results(partition)
            options["queue"] = self.own_queue if collection is None else self.port.queue_of(partition)
            # task_routes may name an exchange of the app's own, which does not lead to the owner's queue.
            options.setdefault("exchange", "")
        return super().apply_async(args, kwargs, **options)

    def _here(self, args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
        """As Celery's eager tasks: sent through the serializer, and executed at once."""
        content_type, encoding, data = serialization.dumps((args, kwargs), self.serializer)  # type: ignore[no-untyped-call]
        args, kwargs = serialization.loads(data, content_type, encoding, accept=[content_type])  # type: ignore[no-untyped-call]
        return self.apply(args, kwargs, **options)

    def AsyncResult(self, task_id: str, **options: Any) -> LookedUpResult:  # noqa: N802 (Celery's name)
        """The result of a task, to wait for."""
        result = LookedUpResult(task_id, backend=self.backend, task_name=self.name, app=self.app, **options)
        result.advice = self.port.how_it_stands
        return result
