"""What a list of recommendations is asked for: options that a scenario can hold, and the request itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from recommender_engine.items import limits
from recommender_engine.items.item import Vector
from recommender_engine.items.values import Id, Name, Text, Value

MOST_LISTED = 100
MOST_EXAMPLES = 20
MOST_WEIGHT = 100.0
MOST_EXCLUDED = 1000
MOST_PINS = 20
MOST_BOOSTS = 20

Filter = dict[str, Any]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _with_length(vector: list[float] | bytes) -> list[float] | bytes:
    if not any(vector):
        raise ValueError("has length zero")
    return vector


QueryVector = Annotated[Vector, AfterValidator(_with_length)]


class Boost(Value):
    """Items that pass a filter are worth more, or less.

    Attributes:
        filter: which items, see ``recommender_engine.recommend.filters``.
        weight: above -1; their score is multiplied by one more than it: 0.5 is half as much again, -0.5 half as much.
    """

    filter: Filter
    weight: Annotated[float, Field(gt=-1.0, le=10.0)]


class Freshness(Value):
    """Items that arrived lately are worth more.

    Attributes:
        weight: the score of an item that arrives now is multiplied by one more than it.
        half_life_days: after so many days, half of that is left.
    """

    weight: Annotated[float, Field(gt=0.0, le=10.0)]
    half_life_days: Annotated[float, Field(ge=0.01, le=3650.0)] = 30.0


class ListOptions(Value):
    """How a list is made. A scenario of a collection holds options under a name.

    Attributes:
        limit: most items in the list.
        filter: only items with such attributes.
        exclude: ids of items that are left out, with their duplicates.
        known: whether items that the user has used are left out (``leave_out``), or ranked by how often they were
            (``keep``: for what is bought again).
        diversity: how much likeness to the items before it counts against an item.
        boosts: items that are worth more or less.
        freshness: whether new items are worth more.
        pins: ids of items that come first, in this order, if they may be in the list.
        variants: whether all colours, sizes and numbers of pieces of one product may be in the list (``all``), or one
            (``one``), and none of a product that the list is like.
        at_most: by attribute, how many items of the list may have the same value; those without it are not counted.
    """

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 10
    filter: Filter | None = None
    exclude: Annotated[tuple[Id, ...], Field(strict=False, max_length=MOST_EXCLUDED)] = ()
    known: Literal["leave_out", "keep"] = "leave_out"
    diversity: Share = 0.2
    boosts: Annotated[tuple[Boost, ...], Field(strict=False, max_length=MOST_BOOSTS)] = ()
    freshness: Freshness | None = None
    pins: Annotated[tuple[Id, ...], Field(strict=False, max_length=MOST_PINS)] = ()
    variants: Literal["all", "one"] = "all"
    at_most: Annotated[dict[Name, Annotated[int, Field(ge=1, le=MOST_LISTED)]], Field(max_length=limits.MAX_RULES)] = (
        Field(default_factory=dict)
    )


class ListExample(Value):
    """What a list is to be like, or unlike: an item, a text or a vector.

    Attributes:
        item: its id; one that is not there is passed over.
        text: a text.
        vector: an embedding, for collections whose vectors come from outside; see ``Item.vector``.
        weight: what it counts beside the other examples.
    """

    item: Id | None = None
    text: Annotated[Text, Field(min_length=1)] | None = None
    vector: QueryVector | None = None
    weight: Annotated[float, Field(gt=0.0, le=MOST_WEIGHT)] = 1.0

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.item is not None) + (self.text is not None) + (self.vector is not None) != 1:
            raise ValueError("an example names one of 'item', 'text' and 'vector'")
        return self


def _example(value: object) -> object:
    return {"item": value} if isinstance(value, str) else value


Examples = Annotated[
    tuple[Annotated[ListExample, BeforeValidator(_example)], ...], Field(strict=False, max_length=MOST_EXAMPLES)
]
"""Each an object, or the id of an item."""


class ListRequest(ListOptions):
    """A list of recommendations: like an item, a text, a vector or examples; for a user or a session; or for nobody.

    Attributes:
        collection: where the items are.
        scenario: name of options in the settings of the collection; options that the request names come before them.
        item: like this item.
        text: like this text.
        vector: like this vector, where the vectors of the collection come from outside.
        like: like these examples: ids, or objects with ``item``, ``text`` or ``vector`` and a ``weight``.
        unlike: and unlike these.
        user: for this user.
        session: for this anonymous session; with ``user`` it is not looked at.
        recommendation_id: names the list in ``recommendation.shown`` and ``interaction.recorded``; each item of the
            answer carries it.
    """

    collection: Id = "default"
    scenario: Name | None = None
    item: Id | None = None
    text: Annotated[Text, Field(min_length=1)] | None = None
    vector: QueryVector | None = None
    like: Examples = ()
    unlike: Examples = ()
    user: Id | None = None
    session: Id | None = None
    recommendation_id: Id | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        named = sum((self.item is not None, self.text is not None, self.vector is not None, bool(self.like)))
        if named > 1:
            raise ValueError("name one of 'item', 'text', 'vector' and 'like'")
        if self.unlike and not named:
            raise ValueError("'unlike' needs 'like', 'item', 'text' or 'vector'")
        return self

    def under(self, options: ListOptions) -> ListRequest:
        """The request with these options where it names none."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        named = {name: getattr(options, name) for name in options.model_fields_set & ListOptions.model_fields.keys()}
        return ListRequest.model_construct(_fields_set={*given, *named}, **{**self.__dict__, **named, **given})
