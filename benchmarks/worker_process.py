"""A real worker on a server and a state directory of its own, for the length of a measurement."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery_recommender import sandbox
from celery_recommender.client import Client
from celery_recommender.sandbox import RunningWorker
from celery_recommender.settings import Settings

__all__ = ["DETERMINISTIC", "PREFIX", "RunningWorker", "bench_settings", "deterministic_worker", "running_worker"]

PREFIX = "recommender-bench-"
DETERMINISTIC = (
    *(sys.executable, "-m", "celery", "-A", "tests.support.owner_app", "worker"),
    *("--pool=threads", "--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    "--recommender=default",
)


@contextmanager
def bench_settings(**changes: object) -> Iterator[Settings]:
    """Settings with a directory and a server of their own, for several workers one after the other.

    Args:
        changes: of the defaults.
    """
    with sandbox.nearby(Settings(log_level="WARNING").replaced(**changes), PREFIX) as settings:
        yield settings


@contextmanager
def running_worker(**changes: object) -> Iterator[RunningWorker]:
    """Start server and worker; stop and remove both afterwards.

    Args:
        changes: of the settings.
    """
    with bench_settings(**changes) as settings, sandbox.running_worker(settings) as worker:
        yield worker


@contextmanager
def deterministic_worker(preload: Callable[[Client], None] | None = None, **changes: object) -> Iterator[RunningWorker]:
    """The same without a model: the deterministic encoder in its place.

    Args:
        preload: called before the worker starts.
        changes: of the settings.
    """
    with (
        bench_settings(**changes) as settings,
        sandbox.running_worker(settings, DETERMINISTIC, preload) as worker,
    ):
        yield worker
