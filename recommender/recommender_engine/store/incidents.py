"""Incidents, and the traffic of the collections that watch for them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Incident:
    """A group that grows, or lately grew, out of its own baseline.

    Attributes:
        id: names it in its collection; it stays when the collection moves.
        group: where its latest item was when it arrived.
        members: arrival numbers of its latest items, in order of arrival.
        opened_ms: stream time.
        items: how many it has had.
        told: how many of them were published last.
        peak: the most items within ten minutes.
        usual: usual items per hour at the time of its latest item.
        due_ms: stream time at which it closes if no more items arrive; once it is closed, when it is forgotten.
        closed_ms: stream time; ``None`` while it is open.
    """

    id: str
    group: str
    members: tuple[int, ...]
    opened_ms: int
    items: int
    told: int
    peak: int
    usual: float
    due_ms: int
    closed_ms: int | None = None


class IncidentTable:
    """Reads and writes incidents and traffic; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def all(self) -> dict[int, dict[str, Incident]]:
        """Every incident by its id, by collection."""
        found: dict[int, dict[str, Incident]] = {}
        rows = self._db.execute(
            "SELECT collection, incidents.id, state FROM incidents JOIN collections ON collections.id = collection"
            " WHERE instr(name, char(10)) = 0 ORDER BY collection, incidents.id"
        )
        for collection, id_, state in rows:
            said = json.loads(state)
            found.setdefault(collection, {})[id_] = Incident(**{**said, "members": tuple(said["members"])})
        return found

    def put(self, collection: int, incident: Incident) -> None:
        """Store an incident, in place of the one of the same id."""
        state = json.dumps(asdict(incident), separators=(",", ":"))
        self._db.execute("INSERT OR REPLACE INTO incidents VALUES (?,?,?)", (collection, incident.id, state))

    def remove(self, collection: int, id_: str) -> None:
        """Delete an incident."""
        self._db.execute("DELETE FROM incidents WHERE collection=? AND id=?", (collection, id_))

    def traffic(self, collection: int) -> dict[int, int]:
        """How many items happened in each hour since 1970."""
        return dict(self._db.execute("SELECT hour, items FROM traffic WHERE collection=? ORDER BY hour", (collection,)))

    def count(self, collection: int, hours: Mapping[int, int]) -> None:
        """Set how many items happened in some hours."""
        self._db.executemany(
            "INSERT OR REPLACE INTO traffic VALUES (?,?,?)", [(collection, hour, hours[hour]) for hour in sorted(hours)]
        )

    def drop_traffic(self, collection: int, before: int | None = None) -> None:
        """Delete the hours before one, or all."""
        if before is None:
            self._db.execute("DELETE FROM traffic WHERE collection=?", (collection,))
        else:
            self._db.execute("DELETE FROM traffic WHERE collection=? AND hour < ?", (collection, before))

    def latest_times(self, collection: int, limit: int) -> list[int]:
        """When the latest arrivals of a collection happened, the latest first; 0 where it is not known."""
        rows = self._db.execute(
            "SELECT COALESCE(happened_ms, at_ms) FROM items WHERE collection=? ORDER BY seq DESC LIMIT ?",
            (collection, limit),
        )
        return [row[0] for row in rows]
