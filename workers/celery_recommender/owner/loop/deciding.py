"""Commands that wait, decided and committed, whatever gets in the way."""

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
from recommender_engine import Recommender
from recommender_engine.errors import EncodingError, StateFull
from recommender_engine.event_log import event_log
from recommender_engine.items import START, Entry, Event
from recommender_engine.pipeline import EmbeddingExecutor

log = event_log(__name__)

RETRY_S = 1.0


class Deciding:
    """Has the engine process batches.

    Args:
        inbox: where the next batch waits.
        in_hand: the note of what is being decided.
        hang_after_s: how long a batch may take, and a thousandth of it more for each of its commands.
        stopping: set when nothing more is to be decided.
        fleet: embeds batches far ahead of their turn, if there is one; it was given to the engine.
        committed: told of each batch: its commands, its events, the seconds it took.
        bide: what to do before the next try, for about a second.
    """

    def __init__(
        self,
        inbox: Inbox,
        in_hand: BatchInHand,
        hang_after_s: float,
        stopping: threading.Event,
        fleet: EmbeddingExecutor | None,
        committed: Callable[[int, list[Event], float], None],
        bide: Callable[[Recommender], None],
    ) -> None:
        self._inbox = inbox
        self._in_hand = in_hand
        self._hang_after_s = hang_after_s
        self._stopping = stopping
        self._fleet = fleet
        self._given_until = START
        self._committed = committed
        self._bide = bide

    def decide(self, engine: Recommender, entries: list[Entry]) -> None:
        """Decide entries; the model works on the next batch meanwhile. A lone item goes straight through."""
        window = self._fleet.window if self._fleet is not None else 0
        delicate = self._in_hand.is_delicate(entries)
        waiting = [] if delicate else self._inbox.peek(1 + window)
        following = waiting[0] if waiting else []
        left = [entries, following]
        if window and not delicate and not self._in_hand.is_suspicious:  # what kills us kills embed workers
            left = self._give(engine, entries, waiting)
        else:
            self._given_until = START
        if following:
            self._in_hand.take(engine.position, following[-1].id)  # no later batch is embedded in this process
            for batch in left:  # what the fleet has not taken, this batch first
                engine.embed_ahead(batch)
        for part in self._in_hand.parts(entries):
            self._in_hand.take(engine.position, (following or part)[-1].id)
            self._process(engine, part)

    def _give(self, engine: Recommender, entries: list[Entry], waiting: list[list[Entry]]) -> list[list[Entry]]:
        """Have the fleet embed this batch and the next, and those behind them once they are full.

        Returns:
            Which of the first two it has not taken.
        """
        near, far = [entries, *waiting[:1]], waiting[1:-1]
        left = []
        for place, batch in enumerate((*near, *far)):
            if batch[-1].id <= self._given_until:
                continue
            if engine.embed_remotely(batch):
                self._given_until = batch[-1].id
            elif place < len(near):
                left.append(batch)
        return left

    def _process(self, engine: Recommender, entries: Sequence[Entry]) -> None:
        """Decide and commit, however often the model has to be asked."""
        limit = limit_s(self._hang_after_s, len(entries))
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                with watched(limit):
                    events = engine.process(entries)
            except EncodingError as error:
                log.error("owner.encoding_failed", extra={"error": str(error), "commands": len(entries)})
            except StateFull as error:  # nothing was committed, and nothing more is read until there is room
                log.error("owner.disk_full", extra={"error": naming(error), "commands": len(entries)})
            except AWAY as error:  # the lease is in doubt: nothing was committed
                log.warning("owner.lease_in_doubt", extra={"error": str(error)})
            except (LeaseLost, RedisError):
                self._in_hand.put_down()  # no fault of the batch
                raise
            else:
                self._committed(len(entries), events, time.monotonic() - started_s)
                return
            self._bide(engine)
