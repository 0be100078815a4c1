"""Threads that work until they are stopped, and steps that are repeated until they succeed."""

from __future__ import annotations

import threading

import pytest

from celery_recommender.threads import WorkerThread, retry


class Waiting(WorkerThread):
    """Waits until it is stopped, and fails then if it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__("test")
        self.error = error

    def work(self) -> None:
        self._stopping.wait()
        if self.error is not None:
            raise self.error


def test_a_worker_thread_ends_when_it_is_stopped() -> None:
    thread = Waiting()
    thread.start()
    assert (thread.name, thread.daemon) == ("recommender-test", True)
    assert thread.is_alive()
    thread.stop()
    assert not thread.is_alive()
    thread.check()


def test_one_that_was_not_started_can_be_stopped() -> None:
    Waiting().stop()


def test_stopping_without_waiting_returns_while_the_thread_is_busy() -> None:
    busy, release = threading.Event(), threading.Event()

    class Busy(WorkerThread):
        def work(self) -> None:
            busy.set()
            release.wait()

    thread = Busy("test")
    thread.start()
    assert busy.wait(5)
    thread.stop(0.0)
    assert thread.is_alive()
    release.set()
    thread.stop()
    assert not thread.is_alive()


def test_what_ends_a_worker_thread_is_raised_where_it_is_checked() -> None:
    thread = Waiting(ZeroDivisionError("unexpected"))
    thread.start()
    thread.check()
    thread.stop()
    with pytest.raises(ZeroDivisionError, match="unexpected"):
        thread.check()


def test_a_step_is_repeated_until_it_succeeds() -> None:
    failures = [ConnectionError("one"), ConnectionError("two")]
    seen: list[tuple[str, int]] = []

    def step() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    def failed(error: Exception, attempt: int) -> None:
        seen.append((str(error), attempt))

    assert retry(step, threading.Event(), 0.0, (ConnectionError,), failed) == "done"
    assert seen == [("one", 1), ("two", 2)]


def test_an_error_that_is_not_expected_ends_the_attempts() -> None:
    def step() -> None:
        raise ZeroDivisionError("unexpected")

    with pytest.raises(ZeroDivisionError, match="unexpected"):
        retry(step, threading.Event(), 0.0, (ConnectionError,), lambda error, attempt: None)


def test_an_error_raised_after_a_failed_attempt_ends_the_attempts() -> None:
    def step() -> None:
        raise ConnectionError("away")

    def failed(error: Exception, attempt: int) -> None:
        if attempt == 3:
            raise ZeroDivisionError("a thread has ended") from error

    with pytest.raises(ZeroDivisionError, match="a thread has ended"):
        retry(step, threading.Event(), 0.0, (ConnectionError,), failed)


def test_a_step_is_not_repeated_after_the_end() -> None:
    stopping, attempts = threading.Event(), []

    def step() -> None:
        attempts.append(1)
        stopping.set()
        raise ConnectionError("away")

    assert retry(step, stopping, 60.0, (ConnectionError,), lambda error, attempt: None) is None
    assert len(attempts) == 1
