"""Full garbage collections by the clock instead of by count.

An owner keeps much of what it read of late in memory: hundreds of thousands of objects that replace each other. Python
looks through all of them whenever a quarter as many have come since it last did. That is half a second and more in
which nothing is decided, every few thousand items: a fifth of all the time. Nearly everything here is freed by its last
reference; what refers to itself is mostly young when it goes, and young objects are collected as ever.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_S = 300.0
_NEVER = 1_000_000_000


@contextmanager
def collected_by_the_clock(every_s: float = EVERY_S) -> Iterator[None]:
    """For the length of a block the oldest generation is collected every so many seconds, and only then.

    Args:
        every_s: seconds between two collections.
    """
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    ended = threading.Event()

    def collect() -> None:
        while not ended.wait(every_s):
            gc.collect()

    thread = threading.Thread(target=collect, name="recommender-garbage", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        gc.set_threshold(young, middle, old)
