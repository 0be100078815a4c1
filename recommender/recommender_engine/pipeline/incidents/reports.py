"""The events of incidents."""

from __future__ import annotations

from typing import Any

from recommender_engine.incidents import Assessment
from recommender_engine.items import IncidentClosed, IncidentEnd, IncidentOpened, IncidentUpdated, IncidentWindow
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.store import Collection, Incident, SqliteStore

_HOUR_S, _MINUTE_MS = 3600, 60_000
_WITHIN = {600: "10 minutes", 3600: "an hour", 21_600: "6 hours"}
_ENDS: dict[IncidentEnd, str] = {
    "calm": "the last hour was calm",
    "merged": "its group became one with that of an older incident",
    "switched_off": "incidents were switched off",
    "collection_deleted": "the collection was deleted",
}
# Rarer than this in a day is none.
_NONE_A_DAY = 0.05


class Reports:
    """Emits events of incidents."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def opened(self, decision: CollectionDecision, incident: Incident, found: Assessment) -> None:
        """An incident has opened."""
        decision.emit(IncidentOpened(command=decision.cause, **self._fields(decision.collection, incident, found)))

    def updated(self, decision: CollectionDecision, incident: Incident, found: Assessment) -> None:
        """An incident has doubled."""
        decision.emit(IncidentUpdated(command=decision.cause, **self._fields(decision.collection, incident, found)))

    def closed(self, decision: CollectionDecision, incident: Incident, reason: IncidentEnd) -> None:
        """An incident has ended."""
        closed_ms = incident.opened_ms if incident.closed_ms is None else incident.closed_ms
        minutes = max(1, round((closed_ms - incident.opened_ms) / _MINUTE_MS))
        decision.emit(
            IncidentClosed(
                command=decision.cause,
                collection=decision.collection.name,
                incident=incident.id,
                group=incident.group,
                canonical_id=self.canonical(decision.collection, incident.group),
                items=incident.items,
                peak=incident.peak,
                opened_ms=incident.opened_ms,
                closed_ms=closed_ms,
                reason=reason,
                explanation=f"{incident.items} items in {_lasted(minutes)}, at most {incident.peak} within"
                f" 10 minutes; {_ENDS[reason]}",
            )
        )

    def canonical(self, collection: Collection, group: str) -> str | None:
        """The item that stands for a group, if one is visible."""
        return self._store.groups.canonical([group], collection.settings.canonical, collection.hidden_ms).get(group)

    def examples(self, collection: Collection, incident: Incident) -> tuple[str, ...]:
        """Ids of the latest items of an incident that are visible."""
        seqs = self._store.items.visible(incident.members, collection.hidden_ms)
        return tuple(member.id for member in self._store.items.by_number(seqs))

    def _fields(self, collection: Collection, incident: Incident, found: Assessment) -> dict[str, Any]:
        best = found.best
        canonical_id = self.canonical(collection, incident.group)
        like = "of one group" if canonical_id is None else f"like {canonical_id}"
        usual = "none are usual" if found.daily < _NONE_A_DAY else f"about {found.daily:.1f} a day are usual"
        return {
            "collection": collection.name,
            "incident": incident.id,
            "group": incident.group,
            "canonical_id": canonical_id,
            "examples": self.examples(collection, incident),
            "items": incident.items,
            "rate_per_hour": round(best.items * _HOUR_S / best.seconds, 1),
            "usual_per_hour": round(found.usual, 4),
            "score": round(best.score, 2),
            "windows": tuple(
                IncidentWindow(
                    seconds=one.seconds, items=one.items, expected=round(one.expected, 4), score=round(one.score, 2)
                )
                for one in found.windows
            ),
            "opened_ms": incident.opened_ms,
            "explanation": f"{best.items} items {like} within {_WITHIN[best.seconds]}, where {usual}",
        }


def _lasted(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{minutes / 60:.1f} hours"
