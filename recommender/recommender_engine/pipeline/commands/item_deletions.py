"""Commands that take a stored item out: ``item.delete``, ``item.erase``, and expiry."""

from __future__ import annotations

from collections.abc import Sequence

from recommender_engine.items import DeleteItem, EntryId, EraseItem, ItemDeleted, ItemKey, limits
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.feedback import Feedback
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.outcomes.outcomes import Outcomes, ignore, is_older
from recommender_engine.store import SqliteStore, StoredItem


class ItemDeletions:
    """Deletes items."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        departures: Departures,
        feedback: Feedback,
        outcomes: Outcomes,
        moves: MovedCollections,
    ) -> None:
        self._store = store
        self._collections = collections
        self._departures = departures
        self._feedback = feedback
        self._outcomes = outcomes
        self._moves = moves

    def delete(self, decision: Decision, command: DeleteItem) -> EntryId:
        """Apply ``item.delete``; returns the id of its outcome."""
        collection, stored = self._collections.lookup(command)
        if collection is None:
            return ignore(decision, command, "unknown_item", silent=command.silent)
        if is_older(self._store, collection, command, stored, decision.time_ms):
            return ignore(decision, command, "older_version", silent=command.silent)
        version = command.version if command.version is not None or stored is None else stored.version
        if version is not None:
            self._store.tombstones.bury(collection.id, command.id, version, decision.time_ms)
        if stored is None:
            return ignore(decision, command, "unknown_item", silent=command.silent)
        here = decision.within(collection)
        departed = self._departures.take_out(here, stored)
        self._departures.forget(here, command.id)
        outcome = self._outcomes.emit(here, _deleted(decision, command), None, silent=command.silent)
        if not command.silent:
            self._departures.publish(here, departed, "item_deleted")
        return outcome

    def erase(self, decision: Decision, command: EraseItem) -> EntryId:
        """Apply ``item.erase``; returns the id of its outcome."""
        collection, stored = self._collections.lookup(command)
        departed = None
        if collection is not None:
            if stored is not None:
                departed = self._departures.take_out(decision.within(collection), stored)
                if stored.version is not None:  # a late command must not bring the text back
                    next_version = min(stored.version + 1, limits.MAX_VERSION)
                    self._store.tombstones.bury(collection.id, command.id, next_version, decision.time_ms)
            self._departures.forget(decision.within(collection), command.id)
            self._feedback.forget(collection.id, command.id)
        self._moves.forget(decision.entry, command)
        outcome = decision.emit(_deleted(decision, command, erased=True))
        self._moves.forward_erasure(decision.entry, command, outcome)
        if collection is not None and departed is not None:
            self._departures.publish(decision.within(collection), departed, "item_deleted")
        return outcome

    def expire(self, decision: CollectionDecision, rows: Sequence[StoredItem]) -> None:
        """Delete items whose time to live is over."""
        for row in rows:
            if row.version is not None:
                self._store.tombstones.bury(decision.collection.id, row.item.id, row.version, decision.time_ms)
            self._departures.forget(decision, row.item.id)
            decision.emit(_deleted(decision, row.item, expired=True))
        self._departures.expire(decision, rows)


def _deleted(decision: Decision, key: ItemKey, *, erased: bool = False, expired: bool = False) -> ItemDeleted:
    return ItemDeleted(
        command=decision.cause, item_id=key.id, collection=key.collection, erased=erased, expired=expired
    )
