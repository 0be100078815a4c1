"""How a process becomes the owner: at once, or when the one before it is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from celery_recommender.broker.coordination.lease import Lease, place_of
from recommender_engine import Recommender
from recommender_engine.errors import StateLocked
from recommender_engine.event_log import event_log
from recommender_engine.opening import LOCK

log = event_log(__name__)

_LOOK_EVERY_S = 0.1
_MARGIN_S = 1.0


class Succession:
    """Waits for the state directory and for the lease.

    The first is free as soon as the process that had it has ended. The second is free then too, if that process had it
    from this very directory on this machine; otherwise when it expires.

    Args:
        directory: the state directory.
        lease: on the partition.
        standby: whether to wait for as long as it takes.
        stopping: set when there is nothing to wait for any more.
    """

    def __init__(self, directory: Path, lease: Lease, standby: bool, stopping: threading.Event) -> None:
        self._directory = directory
        self._lease = lease
        self._standby = standby
        self._stopping = stopping
        self._told = False

    def open(self, opened: Callable[[], Recommender]) -> Recommender | None:
        """Open the engine as soon as nobody else has the directory; ``None`` when stopped before.

        Raises:
            StateLocked: another process has it, and this one is no standby.
        """
        while not self._stopping.is_set():
            try:
                return opened()
            except StateLocked as error:
                if not self._standby:
                    raise
                self._tell(str(error))
            self._stopping.wait(_LOOK_EVERY_S)
        return None

    def acquire(self, engine: Recommender) -> bool:
        """Take the lease as soon as nobody else has it; false when stopped before.

        Raises:
            StateLocked: somebody renews it, and this process is no standby.
        """
        place = place_of((self._directory / LOCK).stat())
        give_up_s = time.monotonic() + self._lease.duration_s + _MARGIN_S
        while not self._stopping.is_set():
            holder = self._lease.acquire(place, engine.notes.epoch)
            if holder is None:
                engine.notes.begin_epoch(self._lease.epoch)
                log.info("owner.epoch_begun", extra={"epoch": self._lease.epoch})
                return True
            held = f"the partition is owned by process {holder.pid} on {holder.host}, with a copy of this state"
            if not self._standby and time.monotonic() > give_up_s:
                raise StateLocked(held)
            self._tell(held)
            self._stopping.wait(_LOOK_EVERY_S)
        return False

    def _tell(self, why: str) -> None:
        if not self._told:
            log.info("owner.standing_by", extra={"because": why})
            self._told = True
