"""How a command ends on a signal: within seconds, in any state, also as the first process of a container.

The kernel gives the first process of a container (PID 1) no default for SIGTERM: without a handler the signal is lost.
So a handler is there before anything large is imported. It ends the command with an exception, so that what has to be
put away is put away; a thread sees to it that this does not take longer than a few seconds, since a handler of Python's
does not run while a library computes. An interrupt (Ctrl-C) is handled in the same way; repeating one of the
two does not want to wait at all.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

ENDED_BY_SIGTERM = 128 + signal.SIGTERM
"""Exit code of a command that was stopped before it was done."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that was interrupted."""

GRACE_S = 5.0
"""For how long it may put things away."""


def end_when_told() -> None:
    """From now on SIGTERM and SIGINT end this process; to be called in its main thread, before large imports."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return  # whoever has started it has other plans
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is ignored behind a shell's &
        signal.signal(signal.SIGINT, _interrupt)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_see_to_it, args=(reading,), name="recommender-ending", daemon=True).start()


def leave_it_to_others() -> None:
    """For commands with their own handlers, and an end that may take longer."""
    signal.set_wakeup_fd(-1)


def _end(number: int, frame: FrameType | None) -> None:
    _do_not_wait_again()
    sys.exit(ENDED_BY_SIGTERM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _do_not_wait_again()
    raise KeyboardInterrupt


def _do_not_wait_again() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _see_to_it(reading: int) -> None:
    number = _next_of(reading)
    threading.Thread(target=_end_after_grace, args=(number,), name="recommender-grace", daemon=True).start()
    os._exit(128 + _next_of(reading))  # repeated


def _next_of(reading: int) -> int:
    while (number := os.read(reading, 1)[0]) not in (signal.SIGTERM, signal.SIGINT):
        pass
    return number


def _end_after_grace(number: int) -> None:
    threading.Event().wait(GRACE_S)
    os._exit(128 + number)
