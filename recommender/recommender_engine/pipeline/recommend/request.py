"""What a list is asked for, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from recommender_engine.items.commands import validate
from recommender_engine.items.values import Attributes, Id, Text, Value

MOST_LISTED = 100
MOST_EXAMPLES = 20
MOST_EXCLUDED = 1000

Examples = Annotated[tuple[Id, ...], Field(strict=False, max_length=MOST_EXAMPLES)]


class ListRequest(Value):
    """A list of recommendations: like an item, a text or examples; for a user or a session; or for nobody.

    Attributes:
        collection: where the items are.
        item: like this item.
        text: like this text.
        like: like these items.
        unlike: and unlike these.
        user: for this user.
        session: for this anonymous session; with ``user`` it is not looked at.
        limit: most items in the list.
        filter: only items with such attributes, see ``recommender_engine.recommend.filters``.
        exclude: ids of items that are left out, with their duplicates.
        known: whether items that the user has used are left out (``leave_out``), or ranked by how often they were
            (``keep``: for what is bought again).
        diversity: in [0, 1]: how much likeness to the items before it counts against an item.
    """

    collection: Id = "default"
    item: Id | None = None
    text: Annotated[Text, Field(min_length=1)] | None = None
    like: Examples = ()
    unlike: Examples = ()
    user: Id | None = None
    session: Id | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 10
    filter: dict[str, Any] | None = None
    exclude: Annotated[tuple[Id, ...], Field(strict=False, max_length=MOST_EXCLUDED)] = ()
    known: Literal["leave_out", "keep"] = "leave_out"
    diversity: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if sum((self.item is not None, self.text is not None, bool(self.like))) > 1:
            raise ValueError("name one of 'item', 'text' and 'like'")
        if self.unlike and not self.like:
            raise ValueError("'unlike' needs 'like'")
        return self


class Listed(Value):
    """One recommendation.

    Attributes:
        id: the canonical item of its group.
        score: of the item, at least 0; comparable inside one list.
        group: its group.
        terms: what the score is made of, by name: ``text`` (cosine), ``together`` (used together), ``bridge`` (used
            together with similar items), ``own`` (used before), ``users``, ``sessions``, ``interests``, ``popular``,
            ``newest``; each in [0, 1] before it is weighed.
        why: the same for people, strongest first.
        text: what the item says.
        attributes: its attributes.
    """

    id: str
    score: float
    group: str
    terms: dict[str, float]
    why: str
    text: str
    attributes: Attributes


def list_request(fields: Mapping[str, Any]) -> ListRequest:
    """A request as producers write it.

    Raises:
        InvalidCommand: names the field that is wrong.
    """
    return validate(ListRequest, dict(fields))
