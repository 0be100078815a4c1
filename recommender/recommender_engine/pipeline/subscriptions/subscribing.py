"""``recommendations.subscribed`` and ``recommendations.unsubscribed``, and subscriptions by the settings."""

from __future__ import annotations

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionSettings,
    CommandIgnored,
    EntryId,
    ListCommand,
    Push,
    RecommendationsSubscribed,
    SubscribeList,
    UnsubscribeList,
)
from recommender_engine.items.limits import MAX_SUBSCRIPTIONS
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists, scenario_of
from recommender_engine.store import Collection, ListKey, SqliteStore


class Subscribing:
    """Subscribes to lists, and ends subscriptions."""

    def __init__(self, store: SqliteStore, collections: Collections, changed_lists: ChangedLists) -> None:
        self._store = store
        self._collections = collections
        self._changed_lists = changed_lists

    def subscribe(self, decision: Decision, command: SubscribeList) -> EntryId:
        """Apply ``recommendations.subscribed``; returns the id of its outcome.

        Raises:
            InvalidCommand: the collection has no such scenario, or as many subscriptions as are kept; or it would make
                one collection too many.
        """
        if command.item is not None and not self._is_here(command.collection, command.item):
            return decision.emit(
                CommandIgnored(
                    command=decision.cause,
                    item_id=command.item,
                    collection=command.collection,
                    reason="unknown_item",
                )
            )
        if command.scenario is not None:
            require_scenario(command.scenario, self._collections.settings(command.collection), "scenario")
        collection = self._collections.require(command.collection)
        if self._store.subscriptions.counts.of(collection.id) >= MAX_SUBSCRIPTIONS:
            raise InvalidCommand(
                "too_many_subscriptions",
                f"the collection has {MAX_SUBSCRIPTIONS} subscriptions: end those that nobody needs",
            )
        self._store.subscriptions.add(collection.id, _key(command), decision.time_ms, asked=True)
        self._changed_lists.touched(collection)
        return self._outcome(decision, command, subscribed=True)

    def _is_here(self, name: str, item_id: str) -> bool:
        collection = self._collections.find(name)
        found = None if collection is None else self._store.items.get(collection.id, item_id, collection.hidden_ms)
        return found is not None

    def unsubscribe(self, decision: Decision, command: UnsubscribeList) -> EntryId:
        """Apply ``recommendations.unsubscribed``; returns the id of its outcome.

        Without a subscription it does nothing. A list that the settings of the collection ask for stays.
        """
        collection = self._collections.find(command.collection)
        key = _key(command)
        found = None if collection is None else self._store.subscriptions.find(collection.id, key)
        if collection is not None and found is not None:
            if is_asked(collection, key, asked=False):
                self._store.subscriptions.release(found)
            else:
                self._store.subscriptions.drop(found)
            self._changed_lists.touched(collection)
        return self._outcome(decision, command, subscribed=False)

    def configured(self, decision: CollectionDecision, before: Push) -> None:
        """The settings of a collection have been set: its lists may be others now, and other lists are told."""
        collection = decision.collection
        if not self._changed_lists.follows(collection):
            return
        self._changed_lists.queue(collection, "all")
        for kind, for_user in (("items", False), ("users", True)):
            wanted = scenario_of(collection.settings.push, for_user=for_user)
            if wanted is not None and wanted != scenario_of(before, for_user=for_user):
                self._changed_lists.queue(collection, kind)

    def _outcome(self, decision: Decision, command: ListCommand, *, subscribed: bool) -> EntryId:
        outcome = decision.emit(
            RecommendationsSubscribed(
                command=decision.cause,
                collection=command.collection,
                item_id=command.item,
                scenario=command.scenario,
                subscribed=subscribed,
            )
        )
        if command.user is not None:
            self._store.mentions.add(outcome, command.collection, (command.user,))
        return outcome


def forget_user(store: SqliteStore, collection: int, user: str) -> None:
    """Delete the subscriptions to the lists of a user who is erased."""
    for one in store.subscriptions.of(collection, user, for_user=True):
        store.subscriptions.drop(one)


def is_asked(collection: Collection, key: ListKey, *, asked: bool) -> bool:
    """Whether a subscription still holds: a command has asked for it, or the settings do."""
    return asked or scenario_of(collection.settings.push, for_user=key.for_user) == key.scenario


def require_scenario(name: str, settings: CollectionSettings, field: str) -> None:
    """Check that a collection has a scenario.

    Raises:
        InvalidCommand: it has none of this name.
    """
    if name not in settings.scenarios:
        known = ", ".join(settings.scenarios) or "none"
        raise InvalidCommand("unknown_scenario", f"{field}: {name!r} is not one of the collection's: {known}", field)


def _key(command: ListCommand) -> ListKey:
    if command.user is not None:
        return ListKey(command.user, True, command.scenario or "")
    return ListKey(command.item or "", False, command.scenario or "")
