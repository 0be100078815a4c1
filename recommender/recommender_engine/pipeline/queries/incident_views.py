"""Questions about incidents. Nothing is stored."""

from __future__ import annotations

from recommender_engine.items.values import Value
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.store import Collection, SqliteStore


class IncidentView(Value):
    """An open incident.

    Attributes:
        incident: names it within its collection.
        group: the group that grows.
        canonical_id: the item that stands for the group; ``None`` when none is visible.
        text: what that item says; empty without one.
        examples: ids of the latest items of the incident, at most five, in order of arrival.
        items: how many it has had.
        peak: the most items within ten minutes.
        usual_per_hour: how many were usual when its latest item arrived.
        opened_ms: stream time at which it opened, in milliseconds since 1970.
        closes_ms: stream time at which it closes if no more items arrive.
    """

    collection: str
    incident: str
    group: str
    canonical_id: str | None
    text: str
    examples: tuple[str, ...]
    items: int
    peak: int
    usual_per_hour: float
    opened_ms: int
    closes_ms: int


class IncidentViews:
    """Reads incidents for people."""

    def __init__(self, store: SqliteStore, collections: Collections, incidents: Incidents) -> None:
        self._store = store
        self._collections = collections
        self._incidents = incidents

    def of(self, name: str | None) -> list[IncidentView]:
        """Open incidents of a collection, or of all, the one that was opened first first."""
        collections = [self._collections.find(name)] if name is not None else self._collections.all()
        found = [view for one in collections if one is not None for view in self._views(one)]
        return sorted(found, key=lambda view: view.opened_ms)

    def _views(self, collection: Collection) -> list[IncidentView]:
        reports, found = self._incidents.reports, []
        for one, group in self._incidents.open.with_groups(collection):
            if one.closed_ms is not None:
                continue
            canonical_id = reports.canonical(collection, group)
            stored = None if canonical_id is None else self._store.items.get(collection.id, canonical_id)
            found.append(
                IncidentView(
                    collection=collection.name,
                    incident=one.id,
                    group=group,
                    canonical_id=canonical_id,
                    text="" if stored is None else stored.compared.content,
                    examples=reports.examples(collection, one),
                    items=one.items,
                    peak=one.peak,
                    usual_per_hour=round(one.usual, 4),
                    opened_ms=one.opened_ms,
                    closes_ms=one.due_ms,
                )
            )
        return found
