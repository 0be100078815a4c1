"""``python -m benchmarks.profiled_worker FILE``: ``recommender worker``, and a clock in it that tells its stages apart.

The clock is a thread. At each tick it reads how much processor time every Python thread has had since the last one, and
credits half of it to what the thread was busy with then, and half to what it is busy with now. What threads that are
not Python's have had (those of the model's library) is the rest of the process's time.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

from benchmarks.stages import stage_of
from celery_recommender.cli import main

TICK_S = 0.004
CLOCK = "the clock itself"
WRITTEN_EVERY_S = 0.25
_SWITCH_S = 0.0005  # else the clock gets the interpreter mostly when another thread lets go of it, and sees just that


class StageClock(threading.Thread):
    """Processor seconds by thread and stage since the start, written to a file now and then.

    Args:
        file: that takes them.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(name="stage-clock", daemon=True)
        self._file = file
        self._spent: dict[tuple[str, str], float] = defaultdict(float)
        self._seen: dict[int, tuple[float, str]] = {}

    def run(self) -> None:
        """Tick until the process ends."""
        sys.setswitchinterval(_SWITCH_S)
        write_at = 0.0
        while True:
            self._tick()
            if time.monotonic() >= write_at:
                write_at = time.monotonic() + WRITTEN_EVERY_S
                self._write()
            time.sleep(TICK_S)

    def _tick(self) -> None:
        frames = sys._current_frames()  # noqa: SLF001 (the documented way to see what other threads do)
        for thread in threading.enumerate():
            if thread.ident is None or thread.ident not in frames:
                continue
            try:
                cpu_s = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            except OSError:  # it has just ended
                continue
            stage = CLOCK if thread is self else stage_of(_stack(frames[thread.ident]))
            before_s, before = self._seen.get(thread.ident, (cpu_s, stage))
            for one in (before, stage):
                self._spent[thread.name, one] += (cpu_s - before_s) / 2
            self._seen[thread.ident] = cpu_s, stage

    def _write(self) -> None:
        spent = [[*where, seconds] for where, seconds in self._spent.items()]
        text = json.dumps({"at": time.time(), "process_s": time.process_time(), "spent_s": spent})
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self._file)


def _stack(frame: FrameType | None) -> list[str]:
    """Innermost first, as ``file:function``."""
    stack = []
    while frame is not None:
        stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return stack


if __name__ == "__main__":
    StageClock(Path(sys.argv.pop(1))).start()
    main(["worker"])
