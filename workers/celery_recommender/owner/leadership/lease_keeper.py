"""The thread that renews the owner's lease."""

from __future__ import annotations

from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.threads import WorkerThread
from recommender_engine.event_log import event_log

log = event_log(__name__)

_RENEWALS = 3  # within the time that a lease lasts


class LeaseKeeper(WorkerThread):
    """Renews a lease, on a thread of its own: a long batch does not lose it. ``check`` raises `LeaseLost`.

    Args:
        lease: that has been acquired.
    """

    def __init__(self, lease: Lease) -> None:
        super().__init__("lease")
        self._lease = lease

    def work(self) -> None:
        """Renew until stopped or lost."""
        while not self._stopping.wait(self._lease.duration_s / _RENEWALS):
            try:
                self._lease.renew()
            except AWAY as error:
                log.warning("lease.server_away", extra={"error": str(error)})
