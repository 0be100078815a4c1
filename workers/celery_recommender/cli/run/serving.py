"""Shared by the commands that are Celery workers."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Any

from celery import Celery, signals
from celery.apps.worker import Worker
from celery.utils.nodenames import host_format
from celery.worker import state

from celery_recommender.broker.redis.connections import connect, masked
from celery_recommender.broker.redis.embedded import EmbeddedServer
from celery_recommender.broker.redis.patience import is_silent
from celery_recommender.ending import leave_it_to_others
from celery_recommender.settings import Settings
from recommender_engine.event_log import event_log

log = event_log(__name__)

_LOOK_EVERY_S = 2.0
_told: SimpleQueue[int] = SimpleQueue()  # to which a handler of signals may put, whatever it has interrupted


@contextmanager
def with_server(settings: Settings) -> Iterator[Settings]:
    """The settings, with an embedded server if they name none; it ends with its last user."""
    if settings.redis_url:
        yield settings
        return
    server = EmbeddedServer(settings.state_dir / "redis")
    settings = settings.replaced(redis_url=server.ensure())
    try:
        yield settings
    finally:
        server.release()


def serve(
    app: Celery, name: str, settings: Settings, close: Callable[[], object] = lambda: None, **options: object
) -> int:
    """Run a worker until it is stopped; returns its exit code.

    Args:
        app: its tasks and queues.
        name: of this worker, before the name of the host.
        settings: of this process.
        close: puts away what must be put away, where the server keeps Celery from doing so.
        options: of the worker; ``concurrency`` among them.
    """
    signals.setup_logging.connect(_leave_logs_alone)
    worker = _worker_class(app)(
        hostname=host_format(f"{name}@%h"),
        pool_cls="threads",
        loglevel=settings.log_level,
        quiet=settings.log_format == "json",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        **options,
    )
    leave_it_to_others()
    _Ending(settings, close).start()
    worker.start()
    return worker.exitcode or 0


class _Ending(threading.Thread):
    """Ends the process after a stop, if the server accepts connections but does not answer.

    Celery's main thread may be in a call that waits for the server, and comes round ten seconds later, and again.
    """

    def __init__(self, settings: Settings, close: Callable[[], object]) -> None:
        super().__init__(name="recommender-ending", daemon=True)
        self._url = settings.redis_url
        self._close = close

    def run(self) -> None:
        """Wait for that."""
        _told.get()
        while not is_silent(connect(self._url)):
            time.sleep(_LOOK_EVERY_S)
        self._close()
        log.warning("worker.ends_without_server", extra={"server": masked(self._url)})
        for handler in logging.getLogger().handlers:
            handler.flush()
        os._exit(os.EX_OK)


def _worker_class(app: Celery) -> type[Worker]:
    base: type[Worker] = app.Worker

    class QuietWorker(base):
        """Celery's worker, except for what it prints past the log when it is stopped."""

        def install_platform_tweaks(self, worker: Any) -> None:
            """Handlers of signals."""
            super().install_platform_tweaks(worker)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, _stop)
            signal.signal(signal.SIGUSR1, _tell_threads)

        def on_close(self) -> None:
            """It ends in order from here on."""
            log.info("worker.stopping")
            super().on_close()

    return QuietWorker


def _stop(number: int, frame: FrameType | None) -> None:
    """End in order. SIGQUIT and the second Ctrl-C do not wait for running tasks."""
    if number == signal.SIGQUIT or (number == signal.SIGINT and state.should_stop is not None):
        state.should_terminate = os.EX_SOFTWARE
    state.should_stop = os.EX_OK
    _told.put(number)


def _tell_threads(number: int, frame: FrameType | None) -> None:
    """Where every thread is, in the log: functions and lines, no values. This one may be writing to it just now."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    at = {names.get(one, str(one)): traceback.format_stack(where) for one, where in sys._current_frames().items()}  # noqa: SLF001
    stacks = "\n".join(f"{name}\n{''.join(lines)}" for name, lines in at.items())
    threading.Thread(target=lambda: log.warning("worker.threads", extra={"stacks": stacks}), daemon=True).start()


def _leave_logs_alone(**_: object) -> None:
    """Celery configures no log where another handler exists; without this the log of tasks has a format of its own."""
