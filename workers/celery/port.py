"""What our tasks have in common, and what they need of the process they run in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from celery import Task
from kombu.entity import Queue

from workers.celery.results import LookedUpResult
from workers.client import CommandFields
from workers.owner.owner import Owner
from workers.owner.replies import MOST_COMMANDS

MOST_ITEMS = MOST_COMMANDS
"""Items that one call of a task takes or gives."""


class Port(Protocol):
    """What tasks need of the process they run in."""

    @property
    def owner(self) -> Owner | None:
        """The owner that runs in this process, if one does."""

    def embed(self, partition: str, request_id: str) -> bool:
        """Embed what the owner of a partition has asked for; false if nobody wants it any more."""

    def append(self, commands: Sequence[CommandFields], requests: dict[str, str]) -> None:
        """Append commands to the log, with the Celery requests that wait for their outcome."""


class PortTask(Task):
    """Base of our tasks: JSON only, on a queue that only the owner consumes, given back if its worker dies."""

    abstract = True
    port: ClassVar[Port]
    queue: ClassVar[Queue]
    serializer = "json"
    acks_late = True
    reject_on_worker_lost = True
    typing = True

    def AsyncResult(self, task_id: str, **options: Any) -> LookedUpResult:  # noqa: N802 (Celery's name)
        """The result of a task, to wait for."""
        return LookedUpResult(task_id, backend=self.backend, task_name=self.name, app=self.app, **options)
