"""``interaction.recorded``, ``user.merged`` and ``user.erased``: applied to the rows of behaviour."""

from __future__ import annotations

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionSettings,
    Entry,
    EntryId,
    EraseUser,
    InteractionAccepted,
    MergeUser,
    RecordInteraction,
    UserErased,
    UserMerged,
)
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.interactions.judging import BlendJudge
from recommender_engine.pipeline.interactions.shown import ShownLists, Use, time_of
from recommender_engine.pipeline.subscriptions import subscribing
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.recommend.behaviour import Observation
from recommender_engine.store import Collection, SqliteStore, UserKey


class Interactions:
    """Applies commands about users.

    Attributes:
        shown: the lists that they were shown.
    """

    def __init__(self, store: SqliteStore, collections: Collections, changed_lists: ChangedLists) -> None:
        self._store = store
        self._collections = collections
        self.shown = ShownLists(store, collections)
        self._changed_lists = changed_lists
        self._judge = BlendJudge(store)

    def record(self, decision: Decision, command: RecordInteraction) -> EntryId | None:
        """Apply ``interaction.recorded``; returns the id of its outcome, if anybody may ask for it.

        Raises:
            InvalidCommand: the collection has no such kind of interaction, or a rating comes without its value; or it
                would make one collection too many.
        """
        weight = weight_of(self._collections.settings(command.collection), command)
        collection = self._collections.require(command.collection)
        at_ms = time_of(decision, command.time)
        rows, key = self._store.behaviour, _key(command.user, command.session)
        user = rows.user(collection.id, key) or rows.add_user(collection.id, key, at_ms)
        item = rows.used_item(collection.id, command.item)
        if item is None:
            waiting = self._store.items.get(collection.id, command.item) is None
            item = rows.add_item(collection.id, command.item, at_ms, waiting=waiting)
        visit = command.session if command.user is not None else None
        share = 1.0
        if weight > 0.0 and self._store.shown.any_in(collection.id):
            use = Use(key, item, at_ms, command.recommendation_id)
            if self.shown.followed(decision, collection, use):
                share = collection.settings.shown_weight
        seen = Observation(collection.id, user, item, weight, at_ms, visit, share)
        self._judge.see(collection, seen, decision.entry.id, decision.time_ms)
        outcome = None
        if decision.entry.key is not None or decision.entry.reply_to is not None:
            accepted = InteractionAccepted(
                command=decision.cause, item_id=command.item, collection=collection.name, kind=command.kind
            )
            outcome = decision.emit(accepted, silent=True)
        rows.record(seen, command.kind, command.value, outcome)
        if self._changed_lists.follows(collection):
            self._changed_lists.used(decision.within(collection), command.user, command.item, self._session(user))
        return outcome

    def _session(self, user: int) -> list[int]:
        """Numbers of the items of a user's open session."""
        profile = self._store.behaviour.peek(user)
        found = {} if profile is None else self._store.behaviour.session_items([profile.session])
        return [num for items in found.values() for num in items.tolist()]

    def merge(self, decision: Decision, command: MergeUser) -> EntryId:
        """Apply ``user.merged``; returns the id of its outcome."""
        collection = self._collections.find(command.collection)
        rows = self._store.behaviour
        other = None if collection is None else rows.user(collection.id, UserKey(command.session, anonymous=True))
        if collection is not None and other is not None:
            key = UserKey(command.user, anonymous=False)
            user = rows.user(collection.id, key)
            if user is None:
                rows.rename_user(other, key)
            else:
                mine, theirs = rows.rows.profile(user), rows.rows.profile(other)
                if mine is not None and theirs is not None:
                    mine.merge(theirs)
                rows.take_over(user, other)
            self._changed_lists.user_changed(decision.within(collection), command.user)
        merged = UserMerged(command=decision.cause, collection=command.collection, merged=other is not None)
        outcome = decision.emit(merged, silent=True)
        if collection is not None and self._store.shown.any_in(collection.id):
            session, whole = UserKey(command.session, anonymous=True), UserKey(command.user, anonymous=False)
            self.shown.mention(collection, whole, self._store.shown.rename_user(collection.id, session, whole))
        if command.session != command.user:
            self._store.mentions.copy(command.collection, command.session, command.user)
        self._store.mentions.add(outcome, command.collection, (command.user, command.session))
        return outcome

    def erase(self, decision: Decision, command: EraseUser) -> EntryId:
        """Apply ``user.erased``; returns the id of its outcome."""
        interactions = forget_user(self._store, self._collections.find(command.collection), decision.entry, command)
        erased = UserErased(command=decision.cause, collection=command.collection, interactions=interactions)
        return decision.emit(erased)


def forget_user(store: SqliteStore, collection: Collection | None, entry: Entry, command: EraseUser) -> int:
    """Delete every trace of a user, also from copies of the collection that are being removed.

    Returns:
        How many interactions were deleted.
    """
    key = _key(command.user, command.session)
    interactions = 0
    numbers = store.transfer.retired_as(command.collection)
    for number in numbers if collection is None else [collection.id, *numbers]:
        store.outbox.forget_outcomes(store.shown.erase_user(number, key))
        if not key.anonymous:
            subscribing.forget_user(store, number, key.id)
        user = store.behaviour.user(number, key)
        if user is not None:
            count, outcomes = store.behaviour.erase_user(user)
            store.outbox.forget_outcomes(outcomes)
            interactions += count
    store.outbox.forget_outcomes(store.mentions.take(command.collection, key.id), published=True)
    store.erased(entry.id)
    return interactions


def weight_of(settings: CollectionSettings, command: RecordInteraction) -> float:
    """The weight of an interaction under the settings of its collection; below 0: the item is not wanted.

    Raises:
        InvalidCommand: there is no such kind, or a rating has no value.
    """
    if command.kind not in settings.interaction_weights:
        known = ", ".join(settings.interaction_weights)
        raise InvalidCommand(
            "unknown_kind",
            f"kind: {command.kind!r} is not one of {known} (setting interaction_weights of the collection)",
            "kind",
        )
    weight = settings.interaction_weight(command.kind, command.value)
    if weight is None:
        raise InvalidCommand("missing_field", "value: a rating needs its value", "value")
    return weight


def _key(user: str | None, session: str | None) -> UserKey:
    return UserKey(user if user is not None else session or "", user is None)
