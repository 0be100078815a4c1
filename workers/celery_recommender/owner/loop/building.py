"""Items are embedded by the second models of their collections, a slice between two batches."""

from __future__ import annotations

from collections.abc import Iterable

from celery_recommender.owner.poison.watchdog import limit_s, watched
from celery_recommender.settings import naming
from recommender_engine import Recommender
from recommender_engine.errors import StateFull
from recommender_engine.event_log import event_log
from recommender_engine.items import Entry, PromoteModel

log = event_log(__name__)

_SOON_S = 0.02


class Building:
    """Has the engine embed slices, beside it.

    Args:
        engine: knows which collections have a second model.
        hang_after_s: storing a slice for longer ends the process, as a batch does.
    """

    def __init__(self, engine: Recommender, hang_after_s: float) -> None:
        self._engine = engine
        self._hang_after_s = hang_after_s
        self._more = False

    def some(self, decided: int) -> None:
        """Store the slice that is ready, and begin the next.

        Args:
            decided: how many commands were decided since the last call.
        """
        try:
            with watched(limit_s(self._hang_after_s, 1)):
                self._more = self._engine.second_models.build(decided)
        except StateFull as error:
            self._more = False
            log.error("owner.disk_full", extra={"error": naming(error)})

    def idle_s(self, idle_s: float) -> float:
        """For how long to wait for commands: not long while a slice is being embedded."""
        return min(idle_s, _SOON_S) if self._more else idle_s


def complete(engine: Recommender, entries: Iterable[Entry], hang_after_s: float) -> None:
    """Embed what is left before a switch, so that it does not take longer than a batch may.

    Raises:
        EncodingError: the model failed.
    """
    for entry in entries:
        if isinstance(entry.command, PromoteModel):
            more = True
            while more:
                with watched(limit_s(hang_after_s, 1000)):
                    more = engine.second_models.complete(entry.command.model)
