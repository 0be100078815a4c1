"""The traffic of the collections that watch for incidents: kept in the store, and in memory for the latest ones."""

from __future__ import annotations

from recommender_engine.incidents import HORIZON_HOURS, Traffic, hour_of
from recommender_engine.recent import Recent
from recommender_engine.store import Collection, SqliteStore

_KEPT = 256
# Where a collection begins to watch, its rhythm is taken from so many of its latest arrivals.
_LEARNED_FROM = 20_000
# So many of the latest arrivals are looked at for what else arrives.
_LOOKED_AT = 5000


class Traffics:
    """Counts arrivals by hour of stream time."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._kept: Recent[int, Traffic] = Recent(_KEPT)
        store.on_rollback(self._kept.clear)
        store.on_retire(self._kept.drop)

    def of(self, collection: Collection) -> Traffic:
        """The traffic of a collection."""
        found = self._kept.get(collection.id)
        if found is None:
            found = Traffic(self._store.incidents.traffic(collection.id))
            self._kept.put(collection.id, found)
        return found

    def count(self, collection: Collection, happened_ms: int, now_ms: int) -> Traffic:
        """Count an item that arrived; returns the traffic with it."""
        found, hour, first = self.of(collection), hour_of(happened_ms), hour_of(now_ms) - HORIZON_HOURS
        if hour < first:
            return found
        if hour not in found.hours:
            self._store.incidents.drop_traffic(collection.id, first)
            found.drop(first)
        self._store.incidents.count(collection.id, {hour: found.add(hour)})
        return found

    def begin(self, collection: Collection, now_ms: int) -> None:
        """Count what a collection has already."""
        first, traffic = hour_of(now_ms) - HORIZON_HOURS, Traffic()
        for at_ms in self._store.incidents.latest_times(collection.id, _LEARNED_FROM):
            if hour_of(at_ms) >= first:
                traffic.add(hour_of(at_ms))
        self._store.incidents.count(collection.id, traffic.hours)
        self._kept.drop(collection.id)

    def end(self, collection: Collection) -> None:
        """Forget the traffic of a collection."""
        self._store.incidents.drop_traffic(collection.id)
        self._kept.drop(collection.id)

    def arrivals_since(self, collection: Collection, since_ms: int) -> int:
        """How many of the latest arrivals of a collection happened after a time."""
        return sum(at > since_ms for at in self._store.incidents.latest_times(collection.id, _LOOKED_AT))
