"""The incidents of a partition in memory: those that are open, and those that ended a few hours ago."""

from __future__ import annotations

from collections.abc import Iterator

from recommender_engine.items.limits import MAX_INCIDENTS
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Collection, Incident, SqliteStore


class OpenIncidents:
    """Finds incidents by collection, by group and by the time at which something is due."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self.reload()
        store.on_rollback(self.reload)
        store.on_retire(self._forget)

    def reload(self) -> None:
        """Read them from the store."""
        self._of = self._store.incidents.all()
        self._next_ms: int | None = None
        self._stale = True

    def of(self, collection: Collection) -> list[Incident]:
        """Those of a collection, the one that was opened first first."""
        found = self._of.get(collection.id)
        return sorted(found.values(), key=lambda one: (one.opened_ms, one.members)) if found else []

    def with_groups(self, collection: Collection) -> Iterator[tuple[Incident, str]]:
        """The same, each with the group that it is in now: that of the latest of its items that is still there."""
        found = self.of(collection)
        if not found:
            return
        seqs = {seq for one in found for seq in one.members}
        groups = {member.seq: member.group for member in self._store.items.by_number(seqs) if member.group}
        for one in found:
            yield one, next((groups[seq] for seq in reversed(one.members) if seq in groups), one.group)

    def with_several(self) -> list[Collection]:
        """The collections with more than one that is open; none that is moving."""
        several = [id_ for id_, found in self._of.items() if sum(one.closed_ms is None for one in found.values()) > 1]
        here = (self._collections.by_id(id_) for id_ in sorted(several))
        return [one for one in here if one is not None and one.name not in self._collections.moving]

    def count(self) -> int:
        """How many are open, in all collections."""
        return sum(one.closed_ms is None for found in self._of.values() for one in found.values())

    def has_room(self, collection: Collection) -> bool:
        """Whether one more may open in a collection."""
        return len(self._of.get(collection.id, ())) < MAX_INCIDENTS

    def put(self, collection: Collection, incident: Incident) -> None:
        """Keep an incident, in place of the one of the same id."""
        self._store.incidents.put(collection.id, incident)
        self._of.setdefault(collection.id, {})[incident.id] = incident
        self._stale = True

    def remove(self, collection: Collection, incident: Incident) -> None:
        """Forget an incident."""
        self._store.incidents.remove(collection.id, incident.id)
        del self._of[collection.id][incident.id]
        self._stale = True

    def due(self, now_ms: int) -> list[tuple[Collection, Incident]]:
        """Those for which something is due, in order of time; nothing of a collection that is moving."""
        if self._stale:
            self._next_ms = min((one.due_ms for found in self._of.values() for one in found.values()), default=None)
            self._stale = False
        if self._next_ms is None or self._next_ms > now_ms:
            return []
        found = [
            (one.due_ms, id_, one.id, one)
            for id_, several in self._of.items()
            for one in several.values()
            if one.due_ms <= now_ms
        ]
        here = ((self._collections.by_id(id_), one) for _, id_, _, one in sorted(found, key=lambda key: key[:3]))
        return [(at, one) for at, one in here if at is not None and at.name not in self._collections.moving]

    def next_close_ms(self) -> int | None:
        """Stream time at which the next one closes if nothing more arrives, or ``None``."""
        if not self._of:
            return None
        here = ((self._collections.by_id(id_), found) for id_, found in self._of.items())
        waiting = [
            one.due_ms
            for at, found in here
            if at is not None and at.name not in self._collections.moving
            for one in found.values()
            if one.closed_ms is None
        ]
        return min(waiting, default=None)

    def _forget(self, collection: int) -> None:
        self._of.pop(collection, None)
        self._stale = True
