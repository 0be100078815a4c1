"""The lane of one endpoint: what is sent to it, how long it is waited for, and what is given up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from celery_recommender.broker.commands.encoding import CommandFields
from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.owner.delivery.feeds import EventFeed
from celery_recommender.owner.delivery.lanes import Keep, dead_letter, is_dead_letter
from celery_recommender.owner.delivery.threads import DeliveryThread, Failure, Job, WebhookJob
from celery_recommender.webhooks.endpoints import Endpoint
from celery_recommender.webhooks.message import headers_of, message_of
from celery_recommender.webhooks.sending import Connection, NotAccepted
from recommender_engine.event_log import event_log
from recommender_engine.items import EntryId
from recommender_engine.store import OutboxRow

log = event_log(__name__)

CAPACITY = 256
"""Events that an endpoint's thread is given at a time; they are in memory."""

MOST_ATTEMPTS = 5  # at a body that the endpoint refuses
MOST_REFUSED = 3  # bodies in a row; then it is the endpoint that fails
_TRIED_S = 60.0
MOST_LETTERS = 1000  # of one outage

Count = Callable[[str, str], object]
"""Counts an event: name of the endpoint, and what became of it, ``delivered`` or ``given_up``."""


class Post(Protocol):
    """A connection to an endpoint."""

    def post(self, body: bytes, headers: dict[str, str]) -> None:
        """Send one request."""

    def close(self) -> None:
        """Close the connection."""


class WebhookLane:
    """Sends events to one endpoint, in their order; is the road and the rules of its delivery thread.

    An endpoint that fails is waited for. An event that is older than the patience while the endpoint fails is given up;
    so is one whose body the endpoint refuses several times, unless it refuses whatever comes.

    Args:
        endpoint: where they go.
        connection: to the endpoint.
        keep: appends a command to the log of the partition.
        patience_s: how old an event becomes before it is given up.
        count: of the metrics.
    """

    longest_wait_s = 60.0

    def __init__(self, endpoint: Endpoint, connection: Post, keep: Keep, patience_s: float, count: Count) -> None:
        self.name = f"webhook {endpoint.name}"
        self._endpoint = endpoint
        self._connection = connection
        self._keep = keep
        self._patience_s = patience_s
        self._count = count
        self._refused = 0  # in a row
        self._letters = 0  # of this outage
        self._failing: NotAccepted | None = None
        self._failing_since_s = self._tried_s = 0.0

    def __call__(self, jobs: Sequence[Job]) -> int:
        """Send them; how many have arrived, the first ones.

        Raises:
            NotAccepted: none has. While the endpoint fails, an event that is too old is not tried each time.
        """
        if self._failing and self._is_hopeless(jobs[0]):
            raise self._failing
        arrived = 0
        try:
            for job in jobs:
                self._send(job)
                arrived += 1
        except NotAccepted as error:
            if not arrived:
                self._note_failure(error)
                raise
        finally:
            self._connection.close()
        self._failing, self._refused, self._letters = None, 0, 0
        return arrived

    def failed(self, failure: Failure) -> int:
        """How many are given up; each is counted, and the first of an outage are dead letters."""
        error = failure.error
        if isinstance(error, NotAccepted) and error.of_the_body and self._refused < MOST_REFUSED:
            if failure.attempts < MOST_ATTEMPTS:
                return 0
            self._give_up(failure.job, failure.reason)
            self._refused += 1
            return 1
        if failure.failing_s < min(_TRIED_S, self._patience_s):
            return 0
        given_up = 0
        for job in (failure.job, *failure.behind):
            if not self._is_old(job):
                break
            self._give_up(job, failure.reason)
            given_up += 1
        return given_up

    def let_pass(self, failure: Failure) -> bool:
        """Events are delivered in their order."""
        return False

    def _send(self, job: Job) -> None:
        if not isinstance(job, WebhookJob):
            raise TypeError(f"{type(job).__name__} is not for an endpoint")
        event = json.loads(job.event)
        body = message_of(self._endpoint, event, job.event)
        if body is not None:
            self._connection.post(body, headers_of(self._endpoint, event, body))
            self._count(self._endpoint.name, "delivered")

    def _note_failure(self, error: NotAccepted) -> None:
        self._tried_s = time.monotonic()
        if self._failing is None:
            self._failing_since_s = self._tried_s
        self._failing = error

    def _is_hopeless(self, job: Job) -> bool:
        """Whether an event is too old, and the endpoint has failed for long, the last time just now."""
        now_s = time.monotonic()
        return self._is_old(job) and now_s - self._failing_since_s >= _TRIED_S > now_s - self._tried_s

    def _is_old(self, job: Job) -> bool:
        return isinstance(job.id, EntryId) and time.time() - job.id.ms / 1000 >= self._patience_s

    def _give_up(self, job: Job, reason: str) -> None:
        if not isinstance(job, WebhookJob):
            return
        event: dict[str, Any] = json.loads(job.event)
        if message_of(self._endpoint, event, job.event) is None:
            return
        if self._letters < MOST_LETTERS and not is_dead_letter(event):
            name = self._endpoint.name
            said = f"the webhook {name} did not take it: {reason}"
            payload = f'{{"endpoint":{json.dumps(name)},"event":{job.event}}}'
            self._keep(dead_letter("webhook", f"webhook {name} {job.id}", payload, event["data"], said))
            self._letters += 1
        self._count(self._endpoint.name, "given_up")
        log.error("delivery.gave_up", extra={"lane": self.name, "event_id": str(job.id), "error": reason})


def webhook_feeds(
    endpoints: Sequence[Endpoint], commands: CommandsLog, patience_s: float, count: Count
) -> dict[str, EventFeed]:
    """What sends events to each endpoint, by its name.

    Args:
        endpoints: of the file.
        commands: takes dead letters.
        patience_s: how old an event becomes before it is given up.
        count: of the metrics.
    """

    def keep(fields: CommandFields) -> None:
        commands.append([fields])

    def feed(endpoint: Endpoint) -> EventFeed:
        lane = WebhookLane(endpoint, Connection(endpoint), keep, patience_s, count)
        return EventFeed(DeliveryThread(lane, lane, CAPACITY), partial(_job, endpoint))

    return {endpoint.name: feed(endpoint) for endpoint in endpoints}


def _job(endpoint: Endpoint, row: OutboxRow) -> WebhookJob | None:
    """Left to the endpoint's own thread is what needs the event to be read."""
    return WebhookJob(row.id, row.event) if not endpoint.types or row.type in endpoint.types else None
