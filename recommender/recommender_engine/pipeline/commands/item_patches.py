"""``item.patch``: the attributes of a stored item change."""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Attributes, EntryId, ItemPatched, PatchItem, limits
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.candidates.policy_index import policy_key_of
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.outcomes.outcomes import Outcomes, ignore, is_older
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.store import SqliteStore


class ItemPatches:
    """Changes the attributes of items."""

    def __init__(
        self, store: SqliteStore, collections: Collections, outcomes: Outcomes, changed_lists: ChangedLists
    ) -> None:
        self._store = store
        self._collections = collections
        self._outcomes = outcomes
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
