"""The task that embed workers execute, and how an owner calls it."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery
from kombu.entity import Queue

from celery_recommender.celery.tasks.port import PortTask
from celery_recommender.settings import Settings


class Embed(PortTask):
    """Embed a batch of texts that the owner of a partition has left in Redis, and leave the vectors there.

    Acknowledged when it begins, and never put back: a batch that is lost with its worker is sent again by the owner,
    which alone knows whether it was, and how often.
    """

    name = "recommender.embed"
    acks_late = False
    reject_on_worker_lost = False
    ignore_result = True

    def run(self, partition: str, request_id: str) -> None:
        """Answer a request.

        Args:
            partition: whose owner asks.
            request_id: under which the texts lie.
        """
        self.port.embed(partition, request_id)


def asking(app: Celery, settings: Settings) -> Callable[[str], None]:
    """A function that has an embed worker look at a request; a connection that has become stale is tried anew once."""
    name = settings.embed_queue
    queue = Queue(name, routing_key=name)  # type: ignore[no-untyped-call]

    def ask(request_id: str) -> None:
        app.send_task(
            Embed.name,
            args=[settings.partition, request_id],
            queue=queue,
            ignore_result=True,
            serializer="json",
            retry_policy={"max_retries": 1, "interval_start": 0.0},
        )

    return ask
