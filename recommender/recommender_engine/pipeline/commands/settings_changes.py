"""``collection.configured``: the settings of a collection."""

from __future__ import annotations

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionConfigured, CollectionSettings, ConfigureCollection, EntryId
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.subscriptions.subscribing import Subscribing, require_scenario
from recommender_engine.recommend.filters import parse


class SettingsChanges:
    """Sets the settings of collections."""

    def __init__(self, collections: Collections, incidents: Incidents, subscribing: Subscribing) -> None:
        self._collections = collections
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
