"""Events of ``item.upsert``: its outcome, and what it changes for other items and for lists of recommendations."""

from __future__ import annotations

import time

from recommender_engine.grouping import founded_by
from recommender_engine.items import EntryId, ItemProcessed, Revision, Timings
from recommender_engine.pipeline.arrival.arrivals import Arrived
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.outcomes.outcomes import Outcomes
from recommender_engine.pipeline.prepared import PreparedUpsert
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import StoredItem


class UpsertEvents:
    """Publishes what an upsert decides and changes."""

    def __init__(
        self,
        current_verdicts: CurrentVerdicts,
        recommendations: Recommendations,
        corrections: Corrections,
        departures: Departures,
        outcomes: Outcomes,
        changed_lists: ChangedLists,
    ) -> None:
        self._current_verdicts = current_verdicts
        self._recommendations = recommendations
        self._corrections = corrections
        self._departures = departures
        self._outcomes = outcomes
        self._changed_lists = changed_lists

    def emit(
        self,
        decision: CollectionDecision,
        upsert: PreparedUpsert,
        arrived: Arrived,
        started: float,
    ) -> EntryId:
        """Emit ``item.processed``; returns its id.

        Args:
            decision: the decision.
            upsert: the command.
            arrived: the item as it is stored now.
            started: when deciding began, by ``time.perf_counter``.
        """
        row = arrived.row
        collection, embedded = decision.collection, upsert.embedded
        current = self._current_verdicts.of(row, collection)
        recommendations = self._recommendations.of(collection, arrived.candidates, but=row.group)
        event = ItemProcessed(
            command=decision.cause,
            item_id=row.item.id,
            collection=collection.name,
            revision=row.revision,
            **current.fields(),
            recommendations=recommendations,
            recommendation_id=decision.recommendation_id if recommendations else None,
            novelty=arrived.novelty,
            truncated=embedded.truncated,
            model=embedded.model.key,
            timings=Timings(embed_ms=embedded.embed_ms, decide_ms=round((time.perf_counter() - started) * 1000, 3)),
        )
        return self._outcomes.emit(decision, event, event.band, silent=upsert.command.silent)

    def note_refresh(self, decision: CollectionDecision, stored: StoredItem, row: StoredItem) -> None:
        """Note the lists that the same text again, with other attributes, may have changed."""
        if stored.item.attributes != row.item.attributes:
            self._changed_lists.changed(decision, row.item.id)

    def note_arrival(self, decision: CollectionDecision, arrived: Arrived) -> None:
        """Note the lists that the arrival may have changed."""
        candidates = arrived.candidates
        if self._changed_lists.follows(decision.collection):
            floor = decision.collection.settings.similar_from
            near = (one.id for one in candidates.members() if candidates.similarity[one.point] >= floor)
            self._changed_lists.arrived(decision, arrived.row.item.id, near, edited=arrived.departed is not None)

    def publish_refresh(self, decision: CollectionDecision, before: Before) -> None:
        """Publish what the same text again changed for other items."""
        self._corrections.publish(decision, before, "item_changed")

    def publish_arrival(self, decision: CollectionDecision, arrived: Arrived) -> None:
        """Publish what else the arrival changed: groups, and verdicts that named its old text."""
        row, departed = arrived.row, arrived.departed
        rejoined = departed is not None and departed.row.group == row.group
        if not rejoined and row.group != founded_by(row.seq):
            self._corrections.publish_group(decision, row.group, "joined", [row.item.id])
        if departed is not None and not rejoined:
            self._departures.publish_group(decision, departed)
        why: Revision = "groups_merged" if departed is None else "item_changed"
        self._corrections.publish(decision, arrived.before, why)
