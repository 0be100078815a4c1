"""Full garbage collections by the clock instead of by count.

An owner keeps many recent reads in memory: hundreds of thousands of objects that replace each other. Python
looks through all of them whenever a quarter as many have come since it last did. That is half a second and more in
which nothing is decided, every few thousand items: a fifth of all the time. Nearly everything here is freed by its last
reference; what refers to itself is mostly young when it goes, and young objects are collected as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from celery_recommender.threads import WorkerThread

EVERY_S = 300.0
_NEVER = 1_000_000_000


@contextmanager
def collected_by_the_clock(every_s: float = EVERY_S) -> Iterator[None]:
    """Within a block the oldest generation is collected at an interval in seconds, and only then.

    Args:
        every_s: seconds between two collections.
    """
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    thread = _Collecting(every_s)
    thread.start()
    try:
        yield
    finally:
        thread.stop()
        gc.set_threshold(young, middle, old)


class _Collecting(WorkerThread):
    def __init__(self, every_s: float) -> None:
        super().__init__("garbage")
        self._every_s = every_s

    def work(self) -> None:
        while not self._stopping.wait(self._every_s):
            gc.collect()
