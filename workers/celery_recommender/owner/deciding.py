"""Decides and commits the waiting commands; repeats after an error that may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from celery_recommender.broker.coordination.lease import LeaseLost
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.owner.loop.building import complete
from celery_recommender.owner.poison.in_hand import BatchInHand
from celery_recommender.owner.poison.watchdog import limit_s, watched
from celery_recommender.owner.resources import Resources
from celery_recommender.settings import naming
from celery_recommender.threads import retry
from recommender_engine import Recommender
from recommender_engine.errors import EncodingError, StateFull
from recommender_engine.event_log import event_log
from recommender_engine.items import START, Entry, Event

log = event_log(__name__)


class Decided(NamedTuple):
    """Entries that were decided and committed.

    Attributes:
        entries: how many.
        events: their events.
        seconds: how long it took.
    """

    entries: int
    events: list[Event]
    seconds: float


def _log_failure(error: Exception, commands: int) -> None:
    """Nothing was committed."""
    if isinstance(error, EncodingError):
        log.error("owner.encoding_failed", extra={"error": str(error), "commands": commands})
    elif isinstance(error, StateFull):
        log.error("owner.disk_full", extra={"error": naming(error), "commands": commands})
    else:
        log.warning("owner.lease_in_doubt", extra={"error": str(error)})


class Deciding:
    """Has the engine process batches.

    Args:
        engine: decides.
        resources: inbox, fleet and settings of the owner.
        in_hand: the note of the entries that are being decided.
        wait: called before an attempt is repeated; takes about a second.
    """

    def __init__(
        self, engine: Recommender, resources: Resources, in_hand: BatchInHand, wait: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._resources = resources
        self._in_hand = in_hand
        self._wait = wait
        self._given_until = START

    def decide(self, entries: list[Entry]) -> Iterator[Decided]:
        """Decide entries; the model works on the next batch meanwhile. A lone item is decided at once.

        Ends early when the owner is stopped.
        """
        fleet, inbox = self._resources.fleet, self._resources.inbox
        window = fleet.window if fleet is not None else 0
        delicate = self._in_hand.is_delicate(entries)
        waiting = [] if delicate else inbox.peek(1 + window)
        following = waiting[0] if waiting else []
        left = [entries, following]
        if window and not delicate and not self._in_hand.is_suspicious:  # what ends this process ends embed workers too
            left = self._give(entries, waiting)
        else:
            self._given_until = START
        if following:
            self._in_hand.take(self._engine.position, following[-1].id)  # no later batch is embedded in this process
            for batch in left:  # what the fleet has not taken, this batch first
                self._engine.embed_ahead(batch)
        for part in self._in_hand.parts(entries):
            self._in_hand.take(self._engine.position, (following or part)[-1].id)
            try:
                decided = self._process(part)
            except (LeaseLost, RedisError):
                self._in_hand.put_down()  # the batch is not the cause
                raise
            if decided is not None:
                yield decided

    def _process(self, entries: Sequence[Entry]) -> Decided | None:
        """Decide and commit entries, repeating after an error that may pass; ``None`` if stopped before."""
        resources = self._resources

        def attempt() -> Decided:
            started_s = time.monotonic()
            complete(self._engine, entries, resources.settings.hang_after_s)
            with watched(limit_s(resources.settings.hang_after_s, len(entries))):
                events = self._engine.process(entries)
            return Decided(len(entries), events, time.monotonic() - started_s)

        def failed(error: Exception, _: int) -> None:
            _log_failure(error, len(entries))
            self._wait()

        return retry(attempt, resources.stopping, 0.0, (EncodingError, StateFull, *AWAY), failed)

    def _give(self, entries: list[Entry], waiting: list[list[Entry]]) -> list[list[Entry]]:
        """Have the fleet embed this batch and the next, and those behind them once they are full.

        Returns:
            Which of the first two it has not taken.
        """
        near, far = [entries, *waiting[:1]], waiting[1:-1]
        left = []
        for index, batch in enumerate((*near, *far)):
            if batch[-1].id <= self._given_until:
                continue
            if self._engine.embed_remotely(batch):
                self._given_until = batch[-1].id
            elif index < len(near):
                left.append(batch)
        return left
