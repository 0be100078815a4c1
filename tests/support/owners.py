"""What killed owners leave."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recommender_engine import Entry
from tests.support.engine import opened


def left_by_a_kill(directory: Path, batches: Sequence[Sequence[Entry]]) -> None:
    """The state of a process that decided the batches and was killed at once.

    All but the last are moved from the write-ahead log into the database.
    """
    child = os.fork()
    if child == 0:
        engine = opened(directory)
        for batch in batches[:-1]:
            engine.process(batch)
        engine._store.scrub()
        engine._store._db.execute("PRAGMA wal_autocheckpoint=0")
        engine.process(batches[-1])
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise RuntimeError(f"the process ended with {code}")
