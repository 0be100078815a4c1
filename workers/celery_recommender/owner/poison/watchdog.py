"""Ends a process whose engine thread does not come back."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def limit_s(hang_after_s: float, commands: int) -> float:
    """How long a batch may take: a slow machine is allowed for, and so is a large batch."""
    return hang_after_s * (1 + commands / 1000)


@contextmanager
def watched(seconds: float) -> Iterator[None]:
    """End the process with exit code 1 if the block takes longer than ``seconds``.

    Where every thread was is printed on standard error: functions and lines, no text of items. The clock is a thread
    without Python in it, so that code which never gives the interpreter back is ended too.
    """
    with _standard_error() as output:
        faulthandler.dump_traceback_later(seconds, exit=True, file=output)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextmanager
def _standard_error() -> Iterator[IO[str]]:
    """The original stream, even if it was replaced; ``None`` if there is none."""
    try:
        sys.__stderr__.fileno()  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        with Path(os.devnull).open("w") as nothing:
            yield nothing
    else:
        yield sys.__stderr__  # type: ignore[misc]
