"""Which subscribed lists a command may have changed: they are made again later, a few at a time.

A command marks what it concerns directly: a number of lists that is bounded by its own size. A change that may concern
any number of lists, such as the deletion of a popular item, is queued, and marks some of them at each turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recommender_engine.items import Push
from recommender_engine.items.limits import MAX_SUBSCRIPTIONS
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Collection, ListChange, ListKey, Mark, SqliteStore, Subscription

MOST_NEAR = 100
"""So many of the items near one that arrives are looked up."""
NEAREST_OF_USERS, LATEST_USERS = 10, 20
"""Users of so many of the nearest items are told of one that arrives, the latest so many of each."""
MARKED_AT_ONCE, CHANGES_AT_ONCE = 250, 25
"""So many lists are marked, by so many queued changes, before one command."""
TURN_MS = 100
"""Lists are made at most once in so much stream time, or before ``clock.ticked``, which comes on a quiet stream."""

_TURN = "lists were made, milliseconds"


class ChangedLists:
    """Marks lists that may have changed, and knows which are to be made again."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._table = store.subscriptions
        self._collections = collections
        self._turn_ms = 0  # stream time at which lists were made last
        self._reload()
        store.on_rollback(self._reload)
        store.on_retire(self._forget)

    # -- what a command concerns ---------------------------------------------------------------------------------------

    def follows(self, collection: Collection) -> bool:
        """Whether any list of a collection is told."""
        push = collection.settings.push
        return bool(push.items or push.users) or self._table.counts.of(collection.id) > 0

    def arrived(self, decision: CollectionDecision, item_id: str, near: Iterable[str], *, edited: bool) -> None:
        """An item has arrived: it may be in the lists of items near it, and of the users of those.

        Args:
            decision: of its command.
            item_id: the item.
            near: ids of items near it, the nearest first.
            edited: whether it was there before, with another text.
        """
        collection = decision.collection
        if not self.follows(collection):
            return
        self.enrol(decision, item_id, for_user=False)
        nearest = [id_ for id_, _ in zip(near, range(MOST_NEAR), strict=False)]
        marked = self._table.mark(collection.id, [item_id, *nearest], _mark(decision), for_user=False)
        if edited:
            self._table.queue(collection.id, "holding", item_id)
        if self._table.has_users(collection.id) and self._store.behaviour.any_in(collection.id):
            marked |= self._meets_interests(decision, nearest[:NEAREST_OF_USERS])
        if marked or edited:
            self._stale.add(collection.id)

    def _meets_interests(self, decision: CollectionDecision, near: list[str]) -> bool:
        """Mark the lists of users who used items near one that has arrived."""
        collection, behaviour = decision.collection, self._store.behaviour
        used = behaviour.named(collection.id, near)
        rings = behaviour.rings_of([one.num for one in used.values()])
        users = {user for ring in rings.values() for user in behaviour.users_of(ring[-LATEST_USERS:]).tolist()}
        return self._table.mark_users(collection.id, users, _mark(decision))

    def changed(self, decision: CollectionDecision, item_id: str) -> None:
        """Attributes or the group of an item have changed: the lists that hold it may have to leave it out."""
        if self.follows(decision.collection):
            self.queue(decision.collection, "holding", item_id)

    def departed(self, decision: CollectionDecision, item_id: str) -> None:
        """An item is gone: so are its own lists, and others may not hold it any more."""
        if self.follows(decision.collection):
            for one in self._table.of(decision.collection.id, item_id, for_user=False):
                self._table.drop(one)
            self.queue(decision.collection, "holding", item_id)

    def used(self, decision: CollectionDecision, user: str | None, item_id: str, together: Iterable[int]) -> None:
        """A user, or an anonymous session, has used an item.

        Args:
            decision: of the command.
            user: the user, if known.
            item_id: the item.
            together: numbers of the items of the session.
        """
        collection = decision.collection
        if not self.follows(collection):
            return
        if user is not None:
            self.user_changed(decision, user)
        marked = self._table.mark(collection.id, [item_id], _mark(decision), for_user=False)
        if self._table.mark_used(collection.id, together, _mark(decision)) or marked:
            self._stale.add(collection.id)

    def user_changed(self, decision: CollectionDecision, user: str) -> None:
        """What is known of a user has changed."""
        if self.follows(decision.collection):
            self.enrol(decision, user, for_user=True)
            if self._table.mark(decision.collection.id, [user], _mark(decision), for_user=True):
                self._stale.add(decision.collection.id)

    def enrol(self, decision: CollectionDecision, id_: str, *, for_user: bool) -> None:
        """Subscribe to the list of an item or a user, where the settings ask for it."""
        collection = decision.collection
        scenario = scenario_of(collection.settings.push, for_user=for_user)
        if scenario is None or self._table.counts.of(collection.id) >= MAX_SUBSCRIPTIONS:
            return
        if self._table.add(collection.id, ListKey(id_, for_user, scenario), decision.time_ms, asked=False):
            self._stale.add(collection.id)

    def queue(self, collection: Collection, kind: str, item: str = "") -> None:
        """Queue a change that may concern any number of lists; see ``ListChange``."""
        self._table.queue(collection.id, kind, item)
        self._stale.add(collection.id)

    def touched(self, collection: Collection) -> None:
        """Something of a collection may have fallen due otherwise."""
        self._stale.add(collection.id)

    # -- turns ---------------------------------------------------------------------------------------------------------

    def begin_turn(self, now_ms: int, *, at_once: bool) -> bool:
        """Whether lists are made before the present command; then the turn is noted.

        Args:
            now_ms: stream time.
            at_once: whatever the time of the last turn.
        """
        if not at_once and abs(now_ms - self._turn_ms) < TURN_MS:
            return False
        due_ms = self.due_ms()
        if due_ms is None or due_ms > now_ms:
            return False
        self._turn_ms = now_ms
        self._store.set_note(_TURN, str(now_ms))
        return True

    def due_collections(self, now_ms: int) -> list[Collection]:
        """Collections in which something is due, what has waited longest first."""
        return [collection for _, _, collection in sorted(self._due_at(now_ms), key=lambda one: one[:2])]

    def spread(self, decision: CollectionDecision, times: int) -> None:
        """Mark some of the lists that queued changes concern.

        Args:
            decision: on the present command.
            times: as much as this of what is done before one command.
        """
        collection, left = decision.collection, times * MARKED_AT_ONCE
        for _ in range(times * CHANGES_AT_ONCE):
            change = self._table.next_change(collection.id)
            if change is None or left <= 0:
                return
            touched = self._spread(decision, change, left)
            self._table.go_on(change, touched[-1] if len(touched) == left else None)
            left -= len(touched)
            self._stale.add(collection.id)

    def _spread(self, decision: CollectionDecision, change: ListChange, limit: int) -> list[int]:
        """Note a change at some of what it concerns; returns their numbers."""
        collection = decision.collection
        match change.kind:
            case "holding":
                return self._table.mark_holding(collection.id, change, _mark(decision), limit)
            case "all":
                return self._table.mark_all(collection.id, change, _mark(decision), limit)
            case _:
                return self._enrol_some(decision, change, limit)

    def _enrol_some(self, decision: CollectionDecision, change: ListChange, limit: int) -> list[int]:
        """Subscribe to the lists of some items, or users, that were there before the settings asked for them."""
        for_user = change.kind == "users"
        read = self._table.users_after if for_user else self._table.items_after
        rows = read(decision.collection.id, change, limit)
        for _, id_ in rows:
            if id_ is not None:
                self.enrol(decision, id_, for_user=for_user)
        return [num for num, _ in rows]

    def due(self, collection: Collection, now_ms: int, limit: int) -> list[Subscription]:
        """Lists that are to be made again."""
        self._stale.add(collection.id)
        return self._table.due(collection.id, now_ms, limit)

    def due_ms(self) -> int | None:
        """Stream time at which something is due, or ``None``."""
        for id_ in self._stale:
            next_ms = 0 if self._table.next_change(id_) is not None else self._table.next_due(id_)
            if next_ms is None:
                self._next.pop(id_, None)
            else:
                self._next[id_] = next_ms
        self._stale.clear()
        if not self._next:
            return None
        moving = self._collections.moving
        if not moving:
            return min(self._next.values())
        return min((next_ms for next_ms, _, _ in self._due_at(None)), default=None)

    def _due_at(self, now_ms: int | None) -> Iterator[tuple[int, int, Collection]]:
        for id_, next_ms in self._next.items():
            collection = self._collections.by_id(id_)
            if collection is None or collection.name in self._collections.moving:
                continue
            if now_ms is None or next_ms <= now_ms:
                yield next_ms, id_, collection

    def _reload(self) -> None:
        self._next: dict[int, int] = {}  # stream time at which something of a collection is due
        self._stale = {id_ for id_ in self._table.with_changes() if self._collections.by_id(id_) is not None}
        self._turn_ms = int(self._store.note(_TURN) or 0)

    def _forget(self, collection: int) -> None:
        self._next.pop(collection, None)
        self._stale.discard(collection)


def scenario_of(push: Push, *, for_user: bool) -> str | None:
    """The scenario whose lists the settings ask for: empty, the plain ones; ``None``: they ask for none."""
    asked = push.users if for_user else push.items
    return ("" if asked is True else asked) if asked else None


def _mark(decision: CollectionDecision) -> Mark:
    return Mark(decision.time_ms, decision.collection.settings.push.min_interval_seconds * 1000)
