"""Threads of libraries give way, those of Python do not."""

from __future__ import annotations

import _thread
import os
import sys
import threading

import pytest

from celery_recommender.owner.interpreter.priorities import let_libraries_give_way
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")


def nice_of(thread_id: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, thread_id)


def test_threads_that_python_does_not_know_give_way_once() -> None:
    end = threading.Event()
    found: list[int] = []

    def run() -> None:
        found.append(threading.get_native_id())
        end.wait(60)

    known = threading.Thread(target=run)
    known.start()
    wait_until(lambda: found, "the first thread")
    _thread.start_new_thread(run, ())
    wait_until(lambda: len(found) == 2, "the second thread")
    try:
        own = nice_of(0)
        for _ in range(2):
            let_libraries_give_way()
            assert [nice_of(thread_id) - own for thread_id in (0, *found)] == [0, 0, 5]
    finally:
        end.set()
        known.join()
