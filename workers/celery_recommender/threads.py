"""Threads that work until they are stopped, and a step that is repeated until it succeeds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WorkerThread(threading.Thread):
    """A thread that works until it is stopped. What ends it otherwise is raised by ``check`` in another thread.

    Args:
        name: of the thread, behind ``recommender-``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=f"recommender-{name}", daemon=True)
        self._stopping = threading.Event()
        self._error: Exception | None = None

    def work(self) -> None:
        """What the thread does; returns soon after ``_stopping`` is set."""
        raise NotImplementedError

    def run(self) -> None:
        """Work, and keep the error that ends it."""
        try:
            self.work()
        except Exception as error:  # raised by `check`
            self._error = error

    def check(self) -> None:
        """Raise the error that has ended the thread, if there is one."""
        if self._error is not None:
            raise self._error

    def stop(self, timeout_s: float | None = None) -> None:
        """Have it end, and wait for that; for at most ``timeout_s`` seconds if given."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout_s)


def retry(
    step: Callable[[], T],
    stopping: threading.Event,
    pause_s: float,
    errors: tuple[type[Exception], ...],
    failed: Callable[[Exception, int], object],
) -> T | None:
    """Repeat a step until it succeeds.

    Args:
        step: what is tried.
        stopping: set when it is not to be tried again.
        pause_s: seconds between two attempts.
        errors: after which it is tried again.
        failed: called after each failed attempt with its error and its number, from 1; an error of its own ends the
            attempts.

    Returns:
        What the step returned; ``None`` when stopped before it succeeded.
    """
    attempt = 0
    while not stopping.is_set():
        try:
            return step()
        except errors as error:
            attempt += 1
            failed(error, attempt)
        stopping.wait(pause_s)
    return None
