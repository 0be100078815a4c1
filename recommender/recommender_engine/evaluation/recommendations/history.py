"""Interactions in the order of time, their baskets, and the part of them that a recommender may know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender_engine.errors import ConfigurationError
from recommender_engine.items import CollectionSettings

Places = NDArray[np.int64]

GAP_MS = 3600 * 1000
"""A pause of so many milliseconds ends a basket."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Something that a user did with an item.

    Attributes:
        item: id.
        at_ms: when, in milliseconds since 1970.
        user: id; ``None`` for an anonymous one.
        session: id; ``None`` where none is known.
        kind: ``view``, ``click``, ``add``, ``buy``, ``rate``, ``dismiss`` or another.
        value: of a rating, for instance.
    """

    item: str
    at_ms: int
    user: str | None = None
    session: str | None = None
    kind: str = "buy"
    value: float | None = None


class History:
    """Recorded interactions with a split in time: before it is what may be known of items, after it the truth.

    A basket is what one user (or anonymous session) does under one session id without a pause of an hour; none goes
    across the split. Of a basket each item counts once; what is not wanted, such as ``dismiss``, does not count.

    Args:
        items: ids of all items, each once.
        interactions: in any order; those at or after ``until_ms`` are left out.
        split_ms: begin of the truth period, in milliseconds since 1970.
        until_ms: its end, not included; ``None``: after the last interaction.
        settings: with the weights of the kinds of interactions.

    Attributes:
        interactions: those before the end, in the order of time; of the same time, in the given order.
        split_ms: as given.
        until_ms: its end.
        known: how many of the interactions are before the split.
        users: id of each user, by number.

    Raises:
        ConfigurationError: an item is not there, or there is nothing before the split, or nothing after it.
    """

    def __init__(
        self,
        items: Sequence[str],
        interactions: Iterable[Interaction],
        split_ms: int,
        until_ms: int | None = None,
        settings: CollectionSettings | None = None,
    ) -> None:
        given = sorted(interactions, key=lambda one: one.at_ms)
        self.until_ms = until_ms if until_ms is not None else max((one.at_ms + 1 for one in given), default=split_ms)
        self.interactions = [one for one in given if one.at_ms < self.until_ms]
        self.split_ms = split_ms
        self.items = list(items)
        numbers = {id_: place for place, id_ in enumerate(items)}
        if missing := next((one.item for one in self.interactions if one.item not in numbers), None):
            raise ConfigurationError(f"an interaction with the item {missing!r}, which is not among the items")
        self.known = sum(one.at_ms < split_ms for one in self.interactions)
        if not self.known:
            raise ConfigurationError("there is no interaction before the split: nothing can be learned")
        if self.known == len(self.interactions):
            raise ConfigurationError("there is no interaction from the split to the end: nothing can be judged")
        self.users: list[str] = []
        self._count(numbers, settings or CollectionSettings())

    def before_split(self) -> Past:
        """What may be known of items."""
        return Past(self, self.known)

    def before(self, place: int) -> Past:
        """What came before an interaction, by its place."""
        return Past(self, place)

    def _count(self, numbers: dict[str, int], settings: CollectionSettings) -> None:
        """Fill the arrays of what counts; every array has one entry for each item of each basket."""
        users: dict[str, int] = {}
        open_baskets: dict[tuple[str | None, str | None], tuple[int, int]] = {}
        seen: set[tuple[int, int]] = set()
        rows: list[tuple[int, int, int, int]] = []
        baskets = 0
        for place, one in enumerate(self.interactions):
            who = (one.user, one.session)
            basket, last_ms = open_baskets.get(who, (-1, 0))
            across = last_ms < self.split_ms <= one.at_ms
            if basket < 0 or across or one.at_ms - last_ms >= GAP_MS:
                basket, baskets = baskets, baskets + 1
            open_baskets[who] = (basket, one.at_ms)
            item = numbers[one.item]
            wanted = (settings.interaction_weight(one.kind, one.value) or 0.0) > 0.0
            if wanted and (basket, item) not in seen:
                seen.add((basket, item))
                user = -1 if one.user is None else users.setdefault(one.user, len(users))
                rows.append((place, basket, item, user))
        self.users = list(users)
        self.baskets = baskets
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        self.places, self.basket_of, self.item_of, self.user_of = columns
        self.times_ms = np.array([one.at_ms for one in self.interactions], np.int64)[self.places]


class Past:
    """The beginning of a history: all that a recommender may look at when it answers.

    Args:
        history: of which it is a part.
        size: how many of its interactions are known.

    Attributes:
        size: as given.
        items: number of the item, for each item of each basket, in the order of time; shape (n,).
        baskets: number of the basket, shape (n,).
        times_ms: milliseconds since 1970, shape (n,).
    """

    def __init__(self, history: History, size: int) -> None:
        self.size = size
        counted = int(np.searchsorted(history.places, size))
        self.items: Places = history.item_of[:counted]
        self.baskets: Places = history.basket_of[:counted]
        self.times_ms: Places = history.times_ms[:counted]
        self._users = history.user_of[:counted]
        self._history = history

    @property
    def interactions(self) -> Sequence[Interaction]:
        """All of them, also those that do not count."""
        return self._history.interactions[: self.size]

    def of_user(self, user: int) -> Places:
        """Items of the baskets of a user, in the order of time; an item of several baskets several times."""
        used: Places = self.items[self._users == user]
        return used
