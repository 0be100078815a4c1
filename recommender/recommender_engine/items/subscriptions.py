"""Which lists of recommendations are told when they change: settings of a collection, and commands for one list."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from recommender_engine.items.command import CollectionCommand
from recommender_engine.items.values import Id, Name, Value

Lists = bool | Name
"""Whether all lists are told, or the name of the scenario whose lists are."""


class Push(Value):
    """Lists of recommendations that are told when they change (``recommendations.updated``).

    Attributes:
        items: the lists of all items: true, or the name of a scenario. Lists of single items: by command.
        users: the lists of all users, likewise; not of anonymous sessions.
        min_interval_seconds: a list is made again at most once in so many seconds of stream time.
        least_change: a list is told when more than this share of its places holds another item than in the list that
            was told last, in [0, 1); whatever the share, when an item must not be in it any more.
    """

    items: Lists = False
    users: Lists = False
    min_interval_seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] = 60
    least_change: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2


class ListCommand(CollectionCommand):
    """Base of commands about the list of one item or one user.

    Attributes:
        collection: the collection.
        item: the item; or …
        user: … the user.
        scenario: name of options in the settings of the collection; by default the options of a plain request.
    """

    collection: Id = "default"
    item: Id | None = None
    user: Id | None = None
    scenario: Name | None = None

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.item is None) == (self.user is None):
            raise ValueError("name either 'item' or 'user'")
        return self


class SubscribeList(ListCommand):
    """From now on a list of recommendations is told: at once, and whenever it has changed."""

    type: ClassVar = "recommendations.subscribed"
    privileged: ClassVar = False
    routed: ClassVar = True
    rated: ClassVar = True


class UnsubscribeList(ListCommand):
    """A list of recommendations is told no longer. No rate refuses it."""

    type: ClassVar = "recommendations.unsubscribed"
    privileged: ClassVar = False
    routed: ClassVar = True
