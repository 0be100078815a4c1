"""Following the events streams, and waiting for the outcome of a command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from celery_recommender.broker.events.following import follow, last_event, so_far
from celery_recommender.broker.events.outcomes import in_run, is_outcome
from celery_recommender.client.connected import Connected
from recommender_engine.items import CommandForwarded, EntryId


class Events(Connected):
    """Reads events, of all partitions or of the home partition."""

    def events(
        self, after: EntryId | Mapping[str, EntryId], *, until: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """Follow the events streams of all partitions, without end or until ``until()`` is true.

        Args:
            after: where to begin, by partition (see `last_events`); one id for all of them is a moment, to the
                millisecond.
            until: looked at about once a second.

        Yields:
            CloudEvents as dictionaries, those of each partition (``source``) in order.
        """
        everywhere = dict.fromkeys(self._settings.all_partitions, after) if isinstance(after, EntryId) else after
        return (read.event for read in follow(self._redis, everywhere, until, self._settings.key_prefix))

    def run_events(
        self, after: EntryId, outcomes: int, *, run: str = "", until: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """Follow the events of the commands of a run until a number of commands have their outcome.

        Args:
            after: where to begin in the events streams.
            outcomes: how many to wait for.
            run: the keys of its commands begin with this; by default every event counts.
            until: ends the waiting; called about once a second.

        Raises:
            TimeoutError: ``until()`` was true before.
        """
        found = 0
        events = self.events(after, until=until) if outcomes else iter(())
        for event in events:
            if in_run(event, run):
                yield event
                found += is_outcome(event)
                if found >= outcomes:
                    return
        if found < outcomes:
            raise TimeoutError(f"only {found} of {outcomes} outcomes came")

    def events_so_far(self, after: EntryId) -> Iterator[dict[str, Any]]:
        """Events of the home partition behind ``after`` that are there now."""
        return so_far(self._redis, self.keys, after)

    def last_event(self) -> EntryId:
        """Id of the newest event of the home partition so far."""
        return last_event(self._redis, self.keys)

    def last_events(self) -> dict[str, EntryId]:
        """Id of the newest event so far of each partition."""
        return {name: last_event(self._redis, self.partitions.of(name).keys) for name in self._settings.all_partitions}

    def outcome(self, position: EntryId, *, timeout_s: float = 30.0, after: EntryId | None = None) -> dict[str, Any]:
        """Wait for the event that answers the command at ``position``.

        A command whose key had been used has no event of its own, and an interaction or a merged user has none that is
        published: the Celery task ``recommender.outcomes`` knows the outcome of a key.

        Args:
            position: what a sending method returned.
            timeout_s: how long to wait.
            after: where in the events stream to begin; by default just before the command's own time.

        Raises:
            TimeoutError: no such event came.
        """
        deadline = time.monotonic() + timeout_s
        start = after or EntryId(max(position.ms - 1, 0), 0)
        home = getattr(position, "partition", self.home)
        field, wanted, places = "id", str(position), {home: start}
        while time.monotonic() <= deadline:
            for read in follow(self._redis, places, lambda: time.monotonic() > deadline, self._settings.key_prefix):
                if read.event["data"]["command"][field] != wanted:
                    continue
                if is_outcome(read.event):
                    return read.event
                if field == "id" and read.event["type"] == CommandForwarded.type:
                    # Its outcome is there under its key, or where the collection has gone since.
                    field, wanted = "key", read.event["data"]["key"]
                    places = dict.fromkeys((home, read.event["data"]["to"], *self._settings.all_partitions), start)
                    break
        raise TimeoutError(f"no event for {position} within {timeout_s} s")
