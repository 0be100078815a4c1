"""How a process becomes the owner: at once, or when the previous owner has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from celery_recommender.broker.coordination.lease import Lease, directory_of
from celery_recommender.threads import retry
from recommender_engine import Recommender
from recommender_engine.errors import StateLocked
from recommender_engine.event_log import event_log
from recommender_engine.opening import LOCK

log = event_log(__name__)

T = TypeVar("T")

_LOOK_EVERY_S = 0.1
_MARGIN_S = 1.0


class Succession:
    """Waits for the state directory and for the lease.

    The directory is free as soon as the process that locked it has ended. Then the lease is free too, if it was taken
    for the same directory on this machine; otherwise it is free when it expires.

    Args:
        directory: the state directory.
        lease: on the partition.
        standby: whether to wait without limit.
        stopping: ends the wait.
    """

    def __init__(self, directory: Path, lease: Lease, standby: bool, stopping: threading.Event) -> None:
        self._directory = directory
        self._lease = lease
        self._standby = standby
        self._stopping = stopping
        self._logged = False

    def open(self, opened: Callable[[], Recommender]) -> Recommender | None:
        """Open the engine as soon as no other process locks the directory; ``None`` if stopped before.

        Raises:
            StateLocked: another process locks it, and this one is no standby.
        """
        return self._retried(opened, give_up_s=0.0)

    def acquire(self, engine: Recommender) -> bool:
        """Take the lease as soon as no other process has it; false if stopped before.

        Raises:
            StateLocked: another process renews it, and this one is no standby.
        """
        directory = directory_of((self._directory / LOCK).stat())
        give_up_s = time.monotonic() + self._lease.duration_s + _MARGIN_S

        def acquire() -> bool:
            holder = self._lease.acquire(directory, engine.notes.epoch)
            if holder is not None:
                raise StateLocked(
                    f"the partition is owned by process {holder.pid} on {holder.host}, with a copy of this state"
                )
            engine.notes.begin_epoch(self._lease.epoch)
            log.info("owner.epoch_begun", extra={"epoch": self._lease.epoch})
            return True

        return bool(self._retried(acquire, give_up_s))

    def _retried(self, attempt: Callable[[], T], give_up_s: float) -> T | None:
        """Repeat while another process has it: without limit in a standby, otherwise until a monotonic time."""

        def wait(error: Exception, _: int) -> None:
            if not self._standby and time.monotonic() > give_up_s:
                raise error
            if not self._logged:
                log.info("owner.standing_by", extra={"because": str(error)})
                self._logged = True

        return retry(attempt, self._stopping, _LOOK_EVERY_S, (StateLocked,), wait)
