"""Dead letters of all partitions: shown, sent again, dropped."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from redis import Redis
from redis.exceptions import NoPermissionError

from celery_recommender.broker.events.dead_letters import DeadLetters, Letter, NotReplayable
from celery_recommender.broker.redis.connections import connect, is_redis
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId

__all__ = ["Filed", "Letters", "NotReplayable"]


class Filed(NamedTuple):
    """A letter and the partition that holds it."""

    partition: str
    letter: Letter


class Letters:
    """The letters.

    Deliveries that failed are sent again on the command line only: that calls a task of the user's app.

    Args:
        redis: the server of the streams.
        settings: partitions, and Celery's broker.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        broker = settings.broker_url or settings.redis_url
        self._celery = connect(broker) if broker and is_redis(broker) else None
        self._of = {
            partition: DeadLetters(redis, PartitionKeys.of(partition, settings.key_prefix), self._celery)
            for partition in settings.all_partitions
        }

    def page(self, after: str, limit: int) -> tuple[list[Filed], str | None]:
        """The newest letters older than ``after`` (all, if it is empty), and where the next page begins.

        Raises:
            ValueError: ``after`` is no id.
        """
        bound = EntryId.parse(after) if after else None
        found = list(islice(self._newest_first(bound), limit + 1))
        return found[:limit], str(found[limit - 1].letter.id) if len(found) > limit else None

    def get(self, partition: str, id_: str) -> Filed | None:
        """One letter, if it is there."""
        home = self._of.get(partition)
        try:
            letter = None if home is None else home.get(EntryId.parse(id_))
        except ValueError:
            return None
        return None if letter is None else Filed(partition, letter)

    def replay(self, filed: Filed) -> None:
        """Send it again the way it came, and drop it.

        Raises:
            NotReplayable: it cannot be sent from here; it stays.
        """
        try:
            self._of[filed.partition].replay(filed.letter)
        except NoPermissionError:  # a Celery message needs what only workers may read
            raise NotReplayable(
                f"{filed.letter.id}: this process has a user of Redis that may not; use recommender dead-letters"
            ) from None

    def drop(self, filed: Filed) -> bool:
        """Delete it; whether it was there."""
        return self._of[filed.partition].drop([filed.letter.id]) > 0

    def close(self) -> None:
        """Close the connection to the broker."""
        if self._celery is not None:
            self._celery.close()

    def _newest_first(self, before: EntryId | None) -> Iterator[Filed]:
        every = (
            ((Filed(partition, letter)) for letter in home.newest_first(before)) for partition, home in self._of.items()
        )
        return heapq.merge(*every, key=lambda filed: filed.letter.id, reverse=True)
