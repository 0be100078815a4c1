"""Commands that change a stored item or take it out: ``item.patch``, ``item.delete``, ``item.erase``, and expiry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    Attributes,
    DeleteItem,
    EntryId,
    EraseItem,
    ItemDeleted,
    ItemKey,
    ItemPatched,
    PatchItem,
    limits,
)
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.candidates.policy_index import policy_key_of
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.feedback import Feedback
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.outcomes.outcomes import Outcomes, ignore, is_older
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import SqliteStore, StoredItem


class ItemChanges:
    """Changes the attributes of items, and deletes items."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        departures: Departures,
        feedback: Feedback,
        outcomes: Outcomes,
        moves: MovedCollections,
        changed_lists: ChangedLists,
    ) -> None:
        self._store = store
        self._collections = collections
        self._departures = departures
        self._feedback = feedback
        self._outcomes = outcomes
        self._moves = moves
        self._changed_lists = changed_lists

    def patch(self, decision: Decision, command: PatchItem) -> EntryId:
        """Apply ``item.patch``; returns the id of its outcome.

        Raises:
            InvalidCommand: the item would have too many attributes.
        """
        collection, stored = self._collections.lookup(command)
        if collection is None or stored is None:
            return ignore(decision, command, "unknown_item", silent=command.silent)
        if is_older(self._store, collection, command, stored, decision.time_ms):
            return ignore(decision, command, "older_version", silent=command.silent)
        merged = {**stored.item.attributes, **command.attributes}
        attributes: Attributes = {name: value for name, value in merged.items() if value is not None}
        if len(attributes) > limits.MAX_ATTRIBUTES:
            raise InvalidCommand(
                "invalid_value", f"the item would have more than {limits.MAX_ATTRIBUTES} attributes", "attributes"
            )
        version = stored.version if command.version is None else command.version
        item = stored.item.model_copy(update={"attributes": attributes})
        cut = None if stored.cut is None else stored.cut.model_copy(update={"attributes": attributes})
        changed = replace(stored, item=item, cut=cut, revision=stored.revision + 1, version=version)
        self._store.items.update(changed, policy_key_of(collection, changed.compared, stored.at_ms))
        self._changed_lists.changed(decision.within(collection), command.id)
        patched = ItemPatched(
            command=decision.cause,
            item_id=command.id,
            collection=command.collection,
            revision=changed.revision,
            attributes=attributes,
        )
        return self._outcomes.emit(decision.within(collection), patched, None, silent=command.silent)

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
        self._store.behaviour.departed(collection.id, command.id)
        self._changed_lists.departed(here, command.id)
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
            self._store.behaviour.departed(collection.id, command.id)
            self._changed_lists.departed(decision.within(collection), command.id)
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
            self._store.behaviour.departed(decision.collection.id, row.item.id)
            self._changed_lists.departed(decision, row.item.id)
            decision.emit(_deleted(decision, row.item, expired=True))
        self._departures.expire(decision, rows)


def _deleted(decision: Decision, key: ItemKey, *, erased: bool = False, expired: bool = False) -> ItemDeleted:
    return ItemDeleted(
        command=decision.cause, item_id=key.id, collection=key.collection, erased=erased, expired=expired
    )
