"""How many commands a collection takes per second of stream time.

Commands above the rate are rejected, never delayed: the order of the stream stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionCommand, CollectionSettings, Entry, EntryId
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Collection, SqliteStore

_SECOND_US = 1_000_000


class Rates:
    """Admits commands by the generic cell rate algorithm (ITU-T I.371), in whole microseconds of stream time.

    Of a collection only the time is kept at which a steady sender at the permitted rate would send next. It is in the
    store, so a restart, any batching and a replay refuse the same commands. Every rated command counts, also the repeat
    of a key.
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._next_us: dict[int, int] = {}
        self._changed: set[int] = set()
        store.on_rollback(self._reload)
        store.on_retire(self._retire)

    def refusals(self, entries: Sequence[Entry]) -> dict[EntryId, InvalidCommand]:
        """Errors of the entries above the rate. Call it once for each entry, in the order of the log.

        Args:
            entries: none of them changes settings.
        """
        return {entry.id: refusal for entry, refusal in self._refused(entries)}

    def flush(self) -> None:
        """Write changes; part of the running transaction."""
        for id_ in sorted(self._changed):
            self._store.set_note(rate_note(id_), str(self._next_us[id_]))
        self._changed.clear()

    def _retire(self, collection: int) -> None:
        self._next_us.pop(collection, None)
        self._changed.discard(collection)
        self._store.drop_note(rate_note(collection))

    def _reload(self) -> None:
        self._next_us.clear()
        self._changed.clear()

    def _refused(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, InvalidCommand]]:
        for entry in entries:
            command = entry.command
            if not isinstance(command, CollectionCommand) or not command.rated:
                continue
            collection = self._collections.find(command.collection)
            if collection is not None and not self._admits(collection, entry.time_ms * 1000):
                limit = collection.settings.commands_per_second
                yield entry, InvalidCommand("rate_limited", f"collection takes {limit:g} commands per second")

    def _admits(self, collection: Collection, now_us: int) -> bool:
        settings = collection.settings
        if settings.commands_per_second is None:
            return True
        interval_us = _interval_us(settings)
        next_us = max(self._next(collection.id), now_us)
        if next_us - now_us > (_burst(settings) - 1) * interval_us:
            return False
        self._next_us[collection.id] = next_us + interval_us
        self._changed.add(collection.id)
        return True

    def _next(self, collection: int) -> int:
        if collection not in self._next_us:
            self._next_us[collection] = int(self._store.note(rate_note(collection)) or 0)
        return self._next_us[collection]


def _interval_us(settings: CollectionSettings) -> int:
    return max(1, round(_SECOND_US / (settings.commands_per_second or 1)))


def _burst(settings: CollectionSettings) -> int:
    """How many commands may come at one moment."""
    return settings.burst or max(1, int(settings.commands_per_second or 1))


def latest_us(settings: CollectionSettings, now_us: int) -> int:
    """The latest possible time at which a steady sender to a collection would send next."""
    return now_us + (_burst(settings) * _interval_us(settings) if settings.commands_per_second else 0)


def rate_note(collection: int) -> str:
    """Key of the note that holds when a steady sender would send next."""
    return f"next command of collection {collection}, microseconds"
