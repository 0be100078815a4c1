"""Commands that change a whole collection: ``collection.configured`` and ``collection.deleted``."""

from __future__ import annotations

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionConfigured,
    CollectionDeleted,
    CollectionSettings,
    ConfigureCollection,
    DeleteCollection,
    EntryId,
)
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.pipeline.subscriptions.subscribing import Subscribing, require_scenario
from recommender_engine.recommend.filters import parse
from recommender_engine.store import SqliteStore


class CollectionChanges:
    """Sets the settings of collections, and deletes collections."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        summaries: Summaries,
        moves: MovedCollections,
        retirement: Retirement,
        incidents: Incidents,
        subscribing: Subscribing,
    ) -> None:
        self._store = store
        self._collections = collections
        self._summaries = summaries
        self._moves = moves
        self._retirement = retirement
        self._incidents = incidents
        self._subscribing = subscribing

    def configure(self, decision: Decision, command: ConfigureCollection) -> EntryId:
        """Apply ``collection.configured``; returns the id of its outcome.

        Raises:
            InvalidCommand: the collection cannot have these settings.
        """
        _check_scenarios(command.settings)
        before = self._collections.settings(command.collection)
        collection = self._collections.configure(command.collection, command.settings)
        outcome = decision.emit(
            CollectionConfigured(command=decision.cause, collection=collection.name, settings=collection.settings)
        )
        self._incidents.configured(decision.within(collection), before=before.incidents)
        self._subscribing.configured(decision.within(collection), before.push)
        return outcome

    def delete(self, decision: Decision, command: DeleteCollection) -> EntryId:
        """Apply ``collection.deleted``, also in partitions that the collection was in before.

        Its cost does not depend on the size of the collection. If there is no such collection, nothing is deleted.
        """
        name, items = command.collection, 0
        collection = self._collections.find(name)
        if collection is not None:
            self._summaries.emit_now(decision.within(collection))
            self._incidents.end(decision.within(collection), "collection_deleted")
            items = self._store.items.count(collection.id)
            self._retirement.retire(decision.within(collection), f"deleted {decision.entry.id}")
        outcome = decision.emit(CollectionDeleted(command=decision.cause, collection=name, items=items))
        self._store.outbox.void_keys(name, decision.time_ms, outcome)
        self._moves.deleted(decision.entry, command)
        return outcome


def _check_scenarios(settings: CollectionSettings) -> None:
    """Parse the filters of scenarios; which attributes there are is known when a list is asked for."""
    for whose in ("items", "users"):
        name = getattr(settings.push, whose)
        if isinstance(name, str):
            require_scenario(name, settings, f"settings.push.{whose}")
    for name, options in settings.scenarios.items():
        for filter_ in (options.filter, *(boost.filter for boost in options.boosts)):
            if filter_ is not None:
                try:
                    parse(filter_)
                except InvalidCommand as error:
                    field = f"settings.scenarios.{name}"
                    raise InvalidCommand(error.code, f"{field}: {error}", field) from None
