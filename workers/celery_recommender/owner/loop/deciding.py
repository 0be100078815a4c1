"""Decides and commits the commands that wait; after an error that waiting helps, again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from celery_recommender.broker.coordination.lease import LeaseLost
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.owner.loop.inbox import Inbox
from celery_recommender.owner.poison.in_hand import BatchInHand
from celery_recommender.owner.poison.watchdog import limit_s, watched
from celery_recommender.settings import naming
from celery_recommender.threads import retry
from recommender_engine import Recommender
from recommender_engine.errors import EncodingError, StateFull
from recommender_engine.event_log import event_log
from recommender_engine.items import START, Entry, Event
from recommender_engine.pipeline import EmbeddingExecutor

log = event_log(__name__)


def process(
    engine: Recommender,
    entries: Sequence[Entry],
    hang_after_s: float,
    stopping: threading.Event,
    bide: Callable[[], None],
) -> tuple[list[Event], float] | None:
    """Decide and commit entries; after an error that waiting helps, again.

    Args:
        engine: decides.
        entries: what is decided.
        hang_after_s: how long it may take, and a thousandth of it more for each entry.
        stopping: set when nothing more is to be decided.
        bide: called before the next attempt; it takes about a second.

    Returns:
        The events and the seconds it took; ``None`` when stopped before.
    """

    def attempt() -> tuple[list[Event], float]:
        started_s = time.monotonic()
        with watched(limit_s(hang_after_s, len(entries))):
            events = engine.process(entries)
        return events, time.monotonic() - started_s

    def failed(error: Exception, _: int) -> None:
        _log_failure(error, len(entries))
        bide()

    return retry(attempt, stopping, 0.0, (EncodingError, StateFull, *AWAY), failed)


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
        inbox: where the next batch waits.
        in_hand: the note of what is being decided.
        fleet: embeds batches far ahead of their turn, if there is one; it was given to the engine.
        process: decides and commits entries.
    """

    def __init__(
        self,
        engine: Recommender,
        inbox: Inbox,
        in_hand: BatchInHand,
        fleet: EmbeddingExecutor | None,
        process: Callable[[Sequence[Entry]], None],
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._in_hand = in_hand
        self._fleet = fleet
        self._given_until = START
        self._process = process

    def decide(self, entries: list[Entry]) -> None:
        """Decide entries; the model works on the next batch meanwhile. A lone item goes straight through."""
        window = self._fleet.window if self._fleet is not None else 0
        delicate = self._in_hand.is_delicate(entries)
        waiting = [] if delicate else self._inbox.peek(1 + window)
        following = waiting[0] if waiting else []
        left = [entries, following]
        if window and not delicate and not self._in_hand.is_suspicious:  # what kills us kills embed workers
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
                self._process(part)
            except (LeaseLost, RedisError):
                self._in_hand.put_down()  # the batch is not the cause
                raise

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
