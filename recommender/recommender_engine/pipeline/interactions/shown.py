"""``recommendation.shown``: lists that users saw, what they used of them, and the event that judges a day of lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    CollectionSettings,
    EntryId,
    HitRate,
    ListShown,
    RecommendationsJudged,
    RecordShownList,
)
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.recommend.behaviour.decay import DAY_MS
from recommender_engine.recommend.exposure import HIT_WINDOW_MS, LISTS_KEPT_MS, arm_of, score_interval
from recommender_engine.store import Collection, Counted, Figures, ShownList, SqliteStore, UserKey

MOST_DAYS = 90
"""So many days of figures are kept."""

_AT_ONCE = 100
_DECIMALS = 6


class Use(NamedTuple):
    """An item was used.

    Attributes:
        key: of the user or session.
        item: number of the item.
        at_ms: time of the interaction.
        recommendation_id: the list that it names; without, the latest of the user with the item counts.
    """

    key: UserKey
    item: int
    at_ms: int
    recommendation_id: str | None = None


class ShownLists:
    """Stores shown lists, and finds the list that an interaction followed."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._rows = store.shown
        self._reload()
        store.on_rollback(self._reload)
        store.on_retire(lambda collection: self._reload())

    def _reload(self) -> None:
        first = self._rows.first_to_judge()
        self._next_ms = None if first is None else _judged_at_ms(first)

    def show(self, decision: Decision, command: RecordShownList) -> EntryId | None:
        """Apply ``recommendation.shown``; returns the id of its outcome, if anybody may ask for it.

        Raises:
            InvalidCommand: the collection has no such scenario, or the scenario no such arm; or it would make one
                collection too many.
        """
        arm = _arm(self._collections.settings(command.collection), command)
        collection = self._collections.require(command.collection)
        key = user_key(command.user, command.session)
        at_ms = time_of(decision, command.time)
        repeated = not self._counts(collection, command.recommendation_id, at_ms, decision.time_ms)
        outcome = None
        if decision.entry.key is not None or decision.entry.reply_to is not None:
            told = ListShown(
                command=decision.cause,
                collection=collection.name,
                recommendation_id=command.recommendation_id,
                scenario=command.scenario,
                arm=arm,
                repeated=repeated,
            )
            outcome = decision.emit(told, silent=True)
        left = [] if outcome is None else [outcome]
        if not repeated:
            shown = ShownList(0, command.scenario or "", arm or "", at_ms, self._numbers(collection, command, at_ms))
            left = self._rows.add(collection.id, command.recommendation_id, key, shown, outcome)
            self._count(decision, collection, shown)
        self.mention(collection, key, left)
        return outcome

    def mention(self, collection: Collection, key: UserKey | None, outcomes: Sequence[EntryId]) -> None:
        """Note whose these outcomes are whose lists are not kept, so that an erasure finds them."""
        if key is not None:
            for one in outcomes:
                self._store.mentions.add(one, collection.name, (key.id,))

    def _counts(self, collection: Collection, id_: str, at_ms: int, now_ms: int) -> bool:
        """Whether a list counts: once, and not when it was shown too long ago."""
        known = self._rows.named(collection.id, id_)
        return at_ms >= now_ms - LISTS_KEPT_MS and (known is None or known.at_ms < now_ms - LISTS_KEPT_MS)

    def _count(self, decision: Decision, collection: Collection, shown: ShownList) -> None:
        under = _counted(shown)
        due_ms = _judged_at_ms(under.day)
        late = due_ms <= decision.time_ms
        self._rows.count(collection.id, under, Figures(lists=1, items=len(shown.items)), judged=late)
        if not late:
            self._next_ms = due_ms if self._next_ms is None else min(self._next_ms, due_ms)

    def _numbers(self, collection: Collection, command: RecordShownList, at_ms: int) -> tuple[int, ...]:
        """Numbers of the items; 0 of those that the collection does not have."""
        behaviour = self._store.behaviour
        here = {member.id for member in self._store.items.named(collection.id, command.items)}
        numbers = []
        for id_ in command.items:
            num = behaviour.used_item(collection.id, id_)
            if num is None and id_ in here:
                num = behaviour.add_item(collection.id, id_, at_ms, waiting=False)
            numbers.append(num or 0)
        return tuple(numbers)

    def followed(self, decision: Decision, collection: Collection, use: Use) -> bool:
        """Whether an interaction followed a list that showed the item; the list has a hit then."""
        found = self._list_of(collection, use, decision.time_ms - LISTS_KEPT_MS)
        if found is None:
            return False
        place = found.items.index(use.item)
        if place not in found.used:
            self._rows.mark_used(found.num, (*found.used, place))
            self._rows.count(collection.id, _counted(found), _gained(found.used, place))
        return True

    def _list_of(self, collection: Collection, use: Use, oldest_ms: int) -> ShownList | None:
        """The list that an interaction names, or else the latest one of the user, if it had the item."""
        if use.recommendation_id is not None:
            named = self._rows.named(collection.id, use.recommendation_id)
            if named is not None and named.at_ms >= oldest_ms and _is_hit(named, use):
                return named
        lists = self._rows.of_user(collection.id, use.key, max(oldest_ms, use.at_ms - HIT_WINDOW_MS))
        return next((one for one in lists if _is_hit(one, use)), None)

    def emit_due(self, decision: Decision) -> None:
        """Publish the figures of the days whose lists can have no more hits, a hundred at each entry."""
        if self._next_ms is None or self._next_ms > decision.time_ms:
            return
        last_day = (decision.time_ms - HIT_WINDOW_MS) // DAY_MS - 1
        for number, under, figures in self._rows.to_judge(last_day, _AT_ONCE):
            self._rows.judge(number, under, under.day - MOST_DAYS)
            collection = self._collections.by_id(number)
            if collection is not None:
                decision.emit(_judged(decision, collection, under, figures))
        self._reload()

    def due_ms(self) -> int | None:
        """Stream time at which the figures of a day are published if no command comes, or ``None``."""
        return self._next_ms


def user_key(user: str | None, session: str | None) -> UserKey | None:
    """The user, or the session that stands for one, if anybody is named."""
    if user is not None:
        return UserKey(user, anonymous=False)
    return None if session is None else UserKey(session, anonymous=True)


def time_of(decision: Decision, said: datetime | None) -> int:
    """When something was, in milliseconds since 1970: as the command says, but not after it."""
    return decision.time_ms if said is None else min(max(0, int(said.timestamp() * 1000)), decision.time_ms)


def _arm(settings: CollectionSettings, command: RecordShownList) -> str | None:
    """The arm of a list: the one that is named, or that of the user.

    Raises:
        InvalidCommand: there is no such scenario or arm.
    """
    if command.scenario is None:
        if command.arm is not None:
            raise InvalidCommand("missing_field", "scenario: an arm is that of a scenario", "scenario")
        return None
    scenario = settings.scenario(command.scenario)
    if command.arm is not None and command.arm not in scenario.arms:
        known = ", ".join(scenario.arms) or "none"
        raise InvalidCommand("unknown_arm", f"arm: {command.arm!r} is not one of the scenario's: {known}", "arm")
    user = command.user if command.user is not None else command.session
    if command.arm is not None or user is None:
        return command.arm
    return arm_of(command.collection, command.scenario, user, scenario.shares)


def _judged_at_ms(day: int) -> int:
    """When the last list of a day can have no more hits."""
    return (day + 1) * DAY_MS + HIT_WINDOW_MS


def _counted(shown: ShownList) -> Counted:
    return Counted(shown.at_ms // DAY_MS, shown.scenario, shown.arm)


def _is_hit(shown: ShownList, use: Use) -> bool:
    return use.item in shown.items and shown.at_ms <= use.at_ms <= shown.at_ms + HIT_WINDOW_MS


def _gained(used: tuple[int, ...], place: int) -> Figures:
    """What another used item of a list adds to the figures."""
    before = 1.0 / (1 + min(used)) if used else 0.0
    return Figures(hits=not used, used=1, ranks=max(before, 1.0 / (1 + place)) - before)


def hit_rate(scenario: str, arm: str, figures: Figures) -> HitRate:
    """The figures of at least one list; an empty name is none."""
    low, high = score_interval(figures.hits, figures.lists)
    return HitRate(
        scenario=scenario or None,
        arm=arm or None,
        lists=figures.lists,
        hits=figures.hits,
        hit_rate=round(figures.hits / figures.lists, _DECIMALS),
        hit_rate_low=round(low, _DECIMALS),
        hit_rate_high=round(high, _DECIMALS),
        items=figures.items,
        items_used=figures.used,
        mean_reciprocal_rank=round(figures.ranks / figures.lists, _DECIMALS),
    )


def _judged(decision: Decision, collection: Collection, under: Counted, figures: Figures) -> RecommendationsJudged:
    return RecommendationsJudged.model_validate(
        {
            "command": decision.cause,
            "collection": collection.name,
            "since_ms": under.day * DAY_MS,
            "until_ms": (under.day + 1) * DAY_MS,
            **hit_rate(under.scenario, under.arm, figures).model_dump(),
        }
    )
