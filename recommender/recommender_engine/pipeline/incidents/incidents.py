"""Opens, updates and closes incidents."""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.grouping import founded_by
from recommender_engine.incidents import (
    LEAST_ITEMS,
    LONGEST_WINDOW_MS,
    MOST_TIMES,
    SLOT_MS,
    Assessment,
    Watched,
    assess,
    calm_at_ms,
    is_swept_along,
)
from recommender_engine.items import IncidentEnd
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.incidents.open_incidents import OpenIncidents
from recommender_engine.pipeline.incidents.reports import Reports
from recommender_engine.pipeline.incidents.traffic import Traffics
from recommender_engine.store import Collection, Incident, SqliteStore, StoredItem

# Of a group so many of the latest arrivals are looked at first: most groups have no burst among them.
_LATEST = 4 * LEAST_ITEMS
_EXAMPLES = 5
_HOUR_S = 3600


class Incidents:
    """Watches the groups of the collections whose settings ask for it.

    All is a function of the log: of the items that are stored when one arrives, and of stream time. What is stored
    beside them is the traffic of each collection by hour, and the incidents.
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self.reports = Reports(store)
        self.traffics = Traffics(store)
        self.open = OpenIncidents(store, collections)
        self._settled: int | None = None  # moves of groups, up to which no two open incidents are of one group

    def arrived(self, decision: CollectionDecision, row: StoredItem, *, silent: bool) -> None:
        """A new item has arrived, and stands in its group.

        Args:
            decision: of its command.
            row: the item.
            silent: whether its command publishes nothing: then it opens and updates nothing either.
        """
        collection, now_ms = decision.collection, row.at_ms
        happened_ms = now_ms if row.happened_ms is None else row.happened_ms
        if not collection.settings.incidents or not happened_ms:
            return
        self.traffics.count(collection, happened_ms, now_ms)
        self.unite(decision)
        late = happened_ms <= now_ms - LONGEST_WINDOW_MS
        if silent or late or row.group == founded_by(row.seq):
            return  # the first of its group
        current, since_ms = self._of_group(decision.collection, row.group)
        if current is None and not self._has_burst(row.group, max(now_ms - LONGEST_WINDOW_MS, since_ms)):
            return
        times = self._store.groups.times(row.group, MOST_TIMES)
        if current is not None:
            self._grow(decision, current, row, times)
            return
        found = self._assessed(collection, times, since_ms, now_ms)
        if found is None or found.best.score < collection.settings.incident_score or not self.open.has_room(collection):
            return
        recent = self.traffics.arrivals_since(collection, now_ms - found.best.seconds * 1000)
        if not is_swept_along(found.best, recent - found.best.items, now_ms, self.traffics.of(collection)):
            self._begin(decision, row, times, found)

    def emit_due(self, decision: Decision) -> None:
        """Close what is due before the entry is handled."""
        for collection, incident in self.open.due(decision.time_ms):
            here, current = decision.within(collection), incident
            if current.closed_ms is not None:
                self.open.remove(collection, current)
                continue
            group = next(group for one, group in self.open.with_groups(collection) if one.id == current.id)
            later_ms = calm_at_ms(self._store.groups.times(group, MOST_TIMES), current.usual)
            if later_ms > decision.time_ms:
                self.open.put(collection, replace(current, due_ms=later_ms))
            else:
                self._close(here, current, group, max(current.due_ms, later_ms), "calm")

    def unite(self, decision: Decision) -> None:
        """Where groups have become one, their incidents do: the one that opened first stays open."""
        if self._settled == self._store.groups.moves:
            return
        self._settled = self._store.groups.moves
        for collection in self.open.with_several():
            first: dict[str, Incident] = {}
            for incident, group in list(self.open.with_groups(collection)):
                if incident.closed_ms is not None:
                    continue
                if group in first:
                    self._close(decision.within(collection), incident, group, decision.time_ms, "merged")
                    first[group] = _together(first[group], incident)
                    self.open.put(collection, first[group])
                else:
                    first[group] = incident

    def due_ms(self) -> int | None:
        """Stream time at which the next one closes, or ``None``."""
        return self.open.next_close_ms()

    def configured(self, decision: CollectionDecision, *, before: bool) -> None:
        """The settings of a collection have been set; ``before``: whether it was watched until then."""
        now = decision.collection.settings.incidents
        if now and not before:
            self.traffics.begin(decision.collection, decision.time_ms)
        elif before and not now:
            self.end(decision, "switched_off")

    def end(self, decision: CollectionDecision, reason: IncidentEnd) -> None:
        """A collection is watched no longer: its incidents are closed and forgotten."""
        collection = decision.collection
        for incident, group in list(self.open.with_groups(collection)):
            if incident.closed_ms is None:
                self._close(decision, incident, group, decision.time_ms, reason)
        for incident in self.open.of(collection):
            self.open.remove(collection, incident)
        self.traffics.end(collection)

    def _of_group(self, collection: Collection, group: str) -> tuple[Incident | None, int]:
        """The open incident of a group, and up to when its items belong to one that ended."""
        current, since_ms = None, 0
        for incident, its_group in self.open.with_groups(collection):
            if its_group == group and incident.closed_ms is not None:
                since_ms = max(since_ms, incident.closed_ms)
            elif its_group == group:
                current = incident
        return current, since_ms

    def _has_burst(self, group: str, since_ms: int) -> bool:
        return sum(at > since_ms for at in self._store.groups.times(group, _LATEST)) >= LEAST_ITEMS

    def _assessed(self, collection: Collection, times: list[int], since_ms: int, now_ms: int) -> Assessment | None:
        ttl_s = collection.settings.ttl_seconds
        kept_hours = None if ttl_s is None else ttl_s // _HOUR_S
        return assess(Watched(times, since_ms, kept_hours), now_ms, self.traffics.of(collection))

    def _begin(self, decision: CollectionDecision, row: StoredItem, times: list[int], found: Assessment) -> None:
        members = sorted(self._store.groups.latest(row.group, _EXAMPLES))
        incident = Incident(
            id=f"i{row.seq}",
            group=row.group,
            members=tuple(member.seq for member in members),
            opened_ms=row.at_ms,
            items=found.best.items,
            told=found.best.items,
            peak=found.windows[0].items,
            usual=found.usual,
            due_ms=calm_at_ms(times, found.usual) or row.at_ms,
        )
        self.open.put(decision.collection, incident)
        self.reports.opened(decision, incident, found)

    def _grow(self, decision: CollectionDecision, incident: Incident, row: StoredItem, times: list[int]) -> None:
        collection, now_ms = decision.collection, row.at_ms
        found = self._assessed(collection, times, 0, now_ms)
        usual = incident.usual if found is None else found.usual
        together = sum(at > incident.opened_ms - SLOT_MS for at in times)  # other groups may have joined
        grown = replace(
            incident,
            group=row.group,
            members=(*incident.members, row.seq)[-_EXAMPLES:],
            items=max(incident.items + 1, together),
            peak=max(incident.peak, sum(now_ms - SLOT_MS < at <= now_ms for at in times)),
            usual=usual,
            due_ms=max(incident.due_ms, calm_at_ms(times, usual)),
        )
        if found is not None and grown.items >= 2 * grown.told:
            grown = replace(grown, told=grown.items)
            self.reports.updated(decision, grown, found)
        self.open.put(collection, grown)

    def _close(
        self, decision: CollectionDecision, incident: Incident, group: str, closed_ms: int, reason: IncidentEnd
    ) -> None:
        over = replace(incident, group=group, closed_ms=closed_ms, due_ms=closed_ms + LONGEST_WINDOW_MS)
        self.open.put(decision.collection, over)
        self.reports.closed(decision, over, reason)


def _together(one: Incident, other: Incident) -> Incident:
    """An incident with the items of one that joined it."""
    return replace(
        one,
        items=one.items + other.items,
        members=tuple(sorted((*one.members, *other.members))[-_EXAMPLES:]),
        peak=max(one.peak, other.peak),
        due_ms=max(one.due_ms, other.due_ms),
    )
