"""A request with what it names: vectors and behaviour of the items, the user's profile, what may be listed."""

from __future__ import annotations

from dataclasses import dataclass, field

from recommender_engine.items.list_request import ListRequest
from recommender_engine.pipeline.candidates.filtering import Survivors
from recommender_engine.pipeline.candidates.nearby import Nearby
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.recommend.behaviour import Profile
from recommender_engine.recommend.weights import Serving, served
from recommender_engine.store import Collection, UsedItem


@dataclass(frozen=True, slots=True)
class Example:
    """An item or a text that the list shall be like.

    Attributes:
        vector: its embedding, shape (dimension,).
        id: of the item.
        group: of the item.
        used: what is known of its use.
        weight: above 0: what it counts beside the others.
    """

    vector: Vector
    id: str | None = None
    group: str | None = None
    used: UsedItem | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request, resolved.

    Attributes:
        request: as it was made.
        collection: where the items are.
        now_ms: stream time.
        nearby: the items that may be listed.
        survivors: those that pass the filter, if there is one.
        among: those that sources find, where they do not find all; fewer than ``survivors`` once a list has as many
            of some values as it may have.
        like, unlike: the examples.
        profile: of the user or session, if it has one.
        used: items of the profile by number.
        left_out: groups that are not listed.
        arm: of the experiment of the scenario, if the user is in one.
        serving: the blends of lists for items.
    """

    request: ListRequest
    collection: Collection
    now_ms: int
    nearby: Nearby
    survivors: Survivors | None
    among: Survivors | None
    like: tuple[Example, ...] = ()
    unlike: tuple[Example, ...] = ()
    profile: Profile | None = None
    used: dict[int, UsedItem] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    arm: str | None = None
    serving: Serving = field(default_factory=lambda: served(None))

    @property
    def evidence(self) -> float:
        """Interactions with the examples, on weighted average; with the profile, where there are none."""
        if self.like:
            uses = sum(one.weight * one.used.uses for one in self.like if one.used)
            return uses / sum(one.weight for one in self.like)
        return float(sum(one.count for one in self.profile.items.values())) if self.profile else 0.0
