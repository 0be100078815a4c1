"""The thread that renews the owner's lease."""

from __future__ import annotations

import threading

from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.availability import AWAY
from recommender_engine.event_log import event_log

log = event_log(__name__)

_RENEWALS = 3  # within the time that a lease lasts


class LeaseKeeper(threading.Thread):
    """Renews a lease, on a thread of its own: a long batch does not lose it.

    Args:
        lease: that has been acquired.
    """

    def __init__(self, lease: Lease) -> None:
        super().__init__(name="recommender-lease", daemon=True)
        self._lease = lease
        self._stopping = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        """Renew until stopped or lost."""
        while not self._stopping.wait(self._lease.duration_s / _RENEWALS):
            try:
                self._lease.renew()
            except AWAY as error:
                log.warning("lease.server_away", extra={"error": str(error)})
            except Exception as error:  # the owner looks after its threads
                self._error = error
                return

    def check(self) -> None:
        """Raise what has ended the thread, if anything has.

        Raises:
            LeaseLost: another process owns the partition.
        """
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Renew no more."""
        self._stopping.set()
        if self.is_alive():
            self.join()
