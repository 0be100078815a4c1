"""Which threads go first where there are more than processors."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from recommender_engine import Recommender

_TASKS = Path("/proc/self/task")
_NICER = 5  # a third of the weight in Linux's scheduler


def warm_up(engine: Recommender) -> None:
    """Load the models; the threads of their libraries give way to the one that decides.

    Decisions are made by one thread, and embedding is not: with every thread alike, the one that decides would have two
    thirds of a processor of two while the model works, and then all of it while the other processor has nothing to do.
    """
    engine.warm_up()
    let_libraries_give_way()


def let_libraries_give_way() -> None:
    """Lower the priority of all threads of this process that Python has not started; on Linux only."""
    if not _TASKS.is_dir():
        return
    ours = {thread.native_id for thread in threading.enumerate()}
    nice = os.getpriority(os.PRIO_PROCESS, 0) + _NICER
    for thread_id in (int(path.name) for path in _TASKS.iterdir()):
        if thread_id not in ours:
            with suppress(OSError):  # it has ended, or its priority may not be changed
                os.setpriority(os.PRIO_PROCESS, thread_id, nice)
