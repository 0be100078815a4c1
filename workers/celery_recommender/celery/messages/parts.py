"""The abilities of the installed Celery and kombu, found by looking for them and not by version numbers.

The lowest releases are those of ``pyproject.toml``; ``tools/matrix.py`` runs the tests under each. What a worker on an
older one goes without is said once, when it starts, and explained in docs/guide/celery.md.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, fields
from functools import cache

import celery
import kombu
from celery.app.defaults import NAMESPACES
from celery.worker.consumer.consumer import Consumer
from kombu.asynchronous import Hub
from kombu.transport.redis import Channel, MultiChannelPoller

from recommender_engine.event_log import event_log

log = event_log(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The abilities. The first field that is false names the first thing that older releases lack.

    Attributes:
        drops_dead_connections: kombu gives up a waiting connection whose answer is overdue, and after a reconnect goes
            on taking messages and keeps one set of timers; from 5.7.
        renews_logins: kombu sends a new token of a credential provider over its waiting connection; from 5.7.
        sweeps_by_option: how often kombu gives back what was left unacknowledged is an option; from 5.7.
        acknowledges_at_once: a task that is done is acknowledged at once with a pool of threads; from 5.7. The door
            does it where Celery does not.
        wakes_loop: a thread that has done its task wakes the event loop; from 5.7. The door's looks up by itself, ten
            times a second.
        bounds_eta_tasks: Celery bounds how many tasks that wait for their time it keeps in memory; from 5.6.
        names_connections: the ``client_name`` of a URL is shown to the server; from 5.6.
    """

    drops_dead_connections: bool
    renews_logins: bool
    sweeps_by_option: bool
    acknowledges_at_once: bool
    wakes_loop: bool
    bounds_eta_tasks: bool
    names_connections: bool

    @classmethod
    def of(cls, channel: type, poller: type, consumer: type, hub: type, worker_settings: Container[str]) -> Parts:
        """Of kombu's Redis transport and of the names of Celery's settings for workers."""
        return cls(
            drops_dead_connections=hasattr(poller, "maybe_check_brpop_health"),
            renews_logins=hasattr(channel, "_flush_brpop_reauth"),
            sweeps_by_option=hasattr(channel, "unacked_restore_interval"),
            acknowledges_at_once=hasattr(consumer, "call_soon_ack"),
            wakes_loop=hasattr(hub, "_create_waker"),
            bounds_eta_tasks="eta_task_limit" in worker_settings,
            names_connections="client_name" in getattr(channel, "from_transport_options", ()),
        )

    @property
    def missing(self) -> list[str]:
        """Names of what is not there."""
        return [field.name for field in fields(self) if not getattr(self, field.name)]


PARTS = Parts.of(Channel, MultiChannelPoller, Consumer, Hub, NAMESPACES["worker"])
"""Of the packages that this process imports."""


@cache  # a process says it once
def tell_what_is_missing() -> None:
    """Say in the log what the installed releases lack, if they lack anything."""
    if PARTS.missing:
        log.warning(
            "celery.older",
            extra={
                "celery": celery.__version__,
                "kombu": kombu.__version__,
                "missing": ", ".join(PARTS.missing),
                "advice": "celery 5.7 with kombu 5.7 has them all; docs/guide/celery.md says what each is for",
            },
        )
