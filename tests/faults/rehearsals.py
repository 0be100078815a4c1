"""Processes for rehearsals that are there at once: forked, not spawned, as a trial has no time for imports.

What the product keeps from its children by spawning them is kept from them here: locks and connections are closed, and
no model is loaded that would not survive a fork.
"""

from __future__ import annotations

import os
import resource
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any


class _Rehearsal(ForkProcess):
    def run(self) -> None:
        arguments: tuple[Any, ...] = self._args  # type: ignore[attr-defined]
        (kept,) = (one.fileno() for one in arguments if isinstance(one, Connection))
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.closerange(3, kept)
        os.closerange(kept + 1, most)
        super().run()


class _Forking(ForkContext):
    Process = _Rehearsal


def forking(method: str) -> ForkContext:
    """In place of ``multiprocessing.get_context``."""
    get_context(method)  # what is no method must not be taken in silence
    return _Forking()
