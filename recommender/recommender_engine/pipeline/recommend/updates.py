"""Subscribed lists that may have changed are made again, a few at a time, and told where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from recommender_engine.errors import InvalidCommand
from recommender_engine.event_log import event_log
from recommender_engine.items import Cause, ListedItem, ListRequest, RecommendationsUpdated, TickClock
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.recommend.listed import Listed
from recommender_engine.pipeline.recommend.lists import RecommendationLists
from recommender_engine.pipeline.recommend.resolving import RequestResolver
from recommender_engine.pipeline.recommend.sources.source import passing
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.pipeline.subscriptions.subscribing import is_asked
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.store import SqliteStore, Subscription

log = event_log(__name__)

MADE_AT_ONCE = 4
"""Lists that are made before one command; ``MADE_ON_A_TICK`` before ``clock.ticked``, which comes on a quiet stream."""
MADE_ON_A_TICK = 25
_SPREADS_ON_A_TICK = 4


class ListUpdates:
    """Makes subscribed lists again and emits ``recommendations.updated``.

    In the middle of a batch they are read from what it has left until now, so that its size makes no difference.
    """

    def __init__(
        self,
        store: SqliteStore,
        changed_lists: ChangedLists,
        resolver: RequestResolver,
        lists: RecommendationLists,
        indexes: Indexes,
    ) -> None:
        self._store = store
        self._changed_lists = changed_lists
        self._resolver = resolver
        self._lists = lists
        self._indexes = indexes

    def emit_due(self, decision: Decision) -> None:
        """Look at some of the lists that are due before the entry is handled."""
        on_tick = isinstance(decision.entry.command, TickClock)
        if not self._changed_lists.begin_turn(decision.time_ms, at_once=on_tick):
            return
        left = MADE_ON_A_TICK if on_tick else MADE_AT_ONCE
        for collection in self._changed_lists.due_collections(decision.time_ms):
            here = decision.within(collection)
            self._changed_lists.spread(here, _SPREADS_ON_A_TICK if on_tick else 1)
            due = self._changed_lists.due(collection, decision.time_ms, left)
            self._store.clock_ms = decision.time_ms
            with self._indexes.overlaid(decision.batch.overlays):
                for one in due:
                    self._look(here, one)
            left -= max(1, len(due))
            if left <= 0:
                return

    def _look(self, decision: CollectionDecision, one: Subscription) -> None:
        """Make a list again, and tell it if it differs."""
        collection, key = decision.collection, one.key
        if not is_asked(collection, key, asked=one.asked):
            self._store.subscriptions.drop(one)
            return
        request = ListRequest(
            collection=collection.name,
            item=None if key.for_user else key.id,
            user=key.id if key.for_user else None,
            scenario=key.scenario or None,
        )
        try:
            listed = self._lists.answer(request)
            told = listed is not None and self._is_told(decision, request, one, [item.id for item in listed])
        except InvalidCommand as error:  # its scenario has gone, or no item has an attribute of the filter
            log.info("list.not_made", extra={"collection": collection.name, "code": error.code})
            self._store.subscriptions.looked(one, decision.time_ms, one.listed)
            return
        if listed is None:  # the item is hidden: it has expired
            self._store.subscriptions.drop(one)
            return
        if told:
            self._tell(decision, one, listed)
        self._store.subscriptions.looked(one, decision.time_ms, [item.id for item in listed] if told else one.listed)

    def _is_told(
        self, decision: CollectionDecision, request: ListRequest, one: Subscription, ids: Sequence[str]
    ) -> bool:
        """Whether a list differs enough from the one told last, or that one holds what must not be in it."""
        if changed_share(one.listed, ids) > decision.collection.settings.push.least_change:
            return True
        went = [id_ for id_ in one.listed if id_ not in set(ids)]
        return bool(went) and not self._may_all_be_listed(decision, request, went)

    def _may_all_be_listed(self, decision: CollectionDecision, request: ListRequest, ids: Sequence[str]) -> bool:
        asked = self._resolver.resolve(request)
        there = self._store.items.named(decision.collection.id, ids)
        return asked is not None and len(passing(asked, there)) == len(ids)

    def _tell(self, decision: CollectionDecision, one: Subscription, listed: Sequence[Listed]) -> None:
        collection, ids = decision.collection, [item.id for item in listed]
        event = decision.emit(
            RecommendationsUpdated(
                command=Cause(id=str(decision.entry.id)),  # its key may name another user
                collection=collection.name,
                item_id=None if one.key.for_user else one.key.id,
                user=one.key.id if one.key.for_user else None,
                scenario=one.key.scenario or None,
                recommendations=tuple(
                    ListedItem(id=item.id, score=item.score, group=item.group, terms=item.terms, why=item.why)
                    for item in listed
                ),
                came=tuple(id_ for id_ in ids if id_ not in one.listed),
                went=tuple(id_ for id_ in one.listed if id_ not in ids),
                recommendation_id=decision.recommendation_id if listed else None,
                arm=listed[0].arm if listed else None,
            )
        )
        if one.key.for_user:
            self._store.mentions.add(event, collection.name, (one.key.id,))


def changed_share(before: Sequence[str], now: Sequence[str]) -> float:
    """The share of the places of two lists that hold another item, in [0, 1]."""
    places = max(len(before), len(now))
    return sum(one != other for one, other in zip_longest(before, now)) / places if places else 0.0
