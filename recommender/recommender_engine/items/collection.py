"""Settings of one collection."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import limits
from recommender_engine.items.decisions import Probability
from recommender_engine.items.list_request import Share
from recommender_engine.items.scenario import MOST_SCENARIOS, Scenario
from recommender_engine.items.subscriptions import Push
from recommender_engine.items.values import Name, Scalar, Value
from recommender_engine.items.words import Words

DEFAULT_MODEL = "all-MiniLM-L6-v2"
Similarity = Annotated[float, Field(ge=-1.0, le=1.0)]
Seconds = Annotated[int, Field(ge=1, le=100 * 366 * 86_400)]
Names = Annotated[tuple[Name, ...], Field(strict=False, max_length=limits.MAX_RULES)]
CutRule = Literal["markup", "subject_prefixes", "quotes", "forwards", "signatures", "disclaimers", "auto_replies"]
CUT_RULES: tuple[CutRule, ...] = get_args(CutRule)
"""What can be cut from a text before it is compared."""
Weight = Annotated[float, Field(ge=-100.0, le=100.0)]
RATED = "rate"
"""The kind of interaction whose weight depends on its value."""
INTERACTION_WEIGHTS = {"view": 1.0, "click": 1.0, "add": 2.0, "buy": 3.0, "rate": 2.0, "dismiss": -1.0}
"""Kinds of interactions and their weights by default."""
Choices = Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1, max_length=limits.MAX_RULES)]


class CollectionSettings(Value):
    """How the items of one collection are compared. Every key has a default.

    Attributes:
        model: name of the embedding model; one of those the worker was started with.
        index: ``exact`` (flat), ``hnsw``, or ``auto``: exact while small, HNSW from ``AUTO_HNSW_FROM`` items on.
        candidates: how many nearest neighbours are looked at for each item.
        rule: what makes a duplicate: ``learned``, the matcher, which weighs words, numbers and answers of people; or
            ``cosine``, the similarity of the two vectors alone, for vectors that say more than the texts. Texts are
            then neither compared nor indexed, and the rule stays once there are items.
        duplicate_cosine: cosine similarity from which the rule ``cosine`` gives ``duplicate``.
        recommendations: how many similar items an event carries at most.
        similar_from: cosine similarity in [-1, 1] from which an item counts as similar; also the floor for
            recommendations.
        target_precision: which share of the items flagged as duplicates shall be right, in [0.5, 0.999]; ``duplicate``
            begins at the probability that keeps it, and nowhere where none was measured to.
        review_from: probability from which a person should look; by default where the matcher puts it.
        review_budget: share of the items that may be in ``review``, in (0, 1]: the likeliest of those that would be,
            counted in the order of the stream. The others are ``similar``. ``None``: all are in it.
        equal: attributes or fields that two items must have with the same value to be duplicates (requester, product).
        only: by attribute, the values that an earlier item must have to be repeated by a later one (status: open); a
            list must have one of them.
        window_seconds: how far apart in time two duplicates may be, by ``timestamp``, or by arrival without one.
        min_length: shorter texts, in characters, are never duplicates.
        cut: what is no part of the message and is left out of what is compared: ``markup`` (HTML is read as text),
            ``subject_prefixes`` (Re:, Fwd:, [EXT]), ``quotes``, ``forwards``, ``signatures``, ``disclaimers``,
            ``auto_replies``. Everything by default; ``[]`` compares texts as they were sent.
        words: words that separate two texts, added to the shipped lists, and shipped words that are left out.
        canonical: which item represents its group: the earliest, the latest, or the one with the longest text.
        ttl_seconds: how long after its arrival an item is deleted; by default never.
        interaction_weights: weight of each kind of interaction, in [-100, 100]; those named are added to the defaults,
            or replace them. Below 0, the user does not want the item; of 0 nothing is learned.
        liked_from: value from which ``rate`` counts as liked; below, the user does not want the item.
        scenarios: options of lists of recommendations by name (product page, home page), for requests that name one;
            with ``arms``, an experiment.
        shown_weight: what an interaction counts, in [0, 1], for popularity and for what is used together if a list had
            shown the item to the user within the day before.
        impression_fatigue: an item that was shown to a user n times and not used since counts 1 / (1 + n times this); n
            halves in a week. 0 switches it off.
        push: which lists of recommendations are told when they change. By default those that commands ask for.
        commands_per_second: how many commands are taken per second of stream time; more are rejected as
            ``rate_limited``. By default any number.
        burst: how many of them may come at one moment; by default as many as in one second.
        incidents: whether groups are watched that grow out of their own baseline, for a collection of reports. Off by
            default: an import of a catalogue is no alarm.
        incident_score: score from which an incident opens: minus the decimal logarithm of the probability of so many
            items.
    """

    model: Name = DEFAULT_MODEL
    index: Literal["auto", "exact", "hnsw"] = "auto"
    candidates: Annotated[int, Field(ge=1, le=500)] = 50
    rule: Literal["learned", "cosine"] = "learned"
    duplicate_cosine: Similarity = 0.95
    recommendations: Annotated[int, Field(ge=0, le=100)] = 10
    similar_from: Similarity = 0.35
    target_precision: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    review_from: Probability | None = None
    review_budget: Annotated[float, Field(gt=0.0, le=1.0)] | None = 0.15
    equal: Names = ()
    only: Annotated[dict[Name, Choices], Field(max_length=limits.MAX_RULES)] = Field(default_factory=dict)
    window_seconds: Seconds | None = None
    min_length: Annotated[int, Field(ge=0, le=limits.MAX_TEXT_BYTES)] = 0
    cut: Annotated[tuple[CutRule, ...], Field(strict=False, max_length=limits.MAX_RULES)] = CUT_RULES
    words: Words = ()
    canonical: Literal["earliest", "latest", "longest"] = "earliest"
    ttl_seconds: Seconds | None = None
    interaction_weights: Annotated[dict[Name, Weight], Field(max_length=limits.MAX_RULES)] = Field(
        default_factory=lambda: dict(INTERACTION_WEIGHTS)
    )
    liked_from: float = 3.0
    scenarios: Annotated[dict[Name, Scenario], Field(max_length=MOST_SCENARIOS)] = Field(default_factory=dict)
    shown_weight: Share = 0.1
    impression_fatigue: Annotated[float, Field(ge=0.0, le=10.0)] = 0.25
    push: Push = Field(default_factory=Push)
    commands_per_second: Annotated[float, Field(ge=0.001, le=1_000_000)] | None = None
    burst: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    incidents: bool = False
    incident_score: Annotated[float, Field(ge=3.0, le=100.0)] = 12.0

    @field_validator("interaction_weights")
    @classmethod
    def _with_defaults(cls, given: dict[str, float]) -> dict[str, float]:
        weights = {**INTERACTION_WEIGHTS, **given}
        if len(weights) > limits.MAX_RULES:
            raise ValueError(f"{len(weights)} kinds with the defaults; at most {limits.MAX_RULES} are accepted")
        return weights

    def interaction_weight(self, kind: str, value: float | None) -> float | None:
        """The weight of an interaction, below 0 where the item is not wanted; ``None``: unknown kind, or no stars."""
        weight = self.interaction_weights.get(kind)
        if weight is None or kind != RATED:
            return weight
        return None if value is None else weight if value >= self.liked_from else -abs(weight)

    def scenario(self, name: str) -> Scenario:
        """The scenario of this name.

        Raises:
            InvalidCommand: there is none.
        """
        if name not in self.scenarios:
            known = ", ".join(self.scenarios) or "none"
            raise InvalidCommand(
                "unknown_scenario", f"scenario: {name!r} is not one of the collection's: {known}", "scenario"
            )
        return self.scenarios[name]

    @property
    def compares_texts(self) -> bool:
        """Whether texts count: else only vectors are compared, the nearest first, and no precision is stated."""
        return self.rule != "cosine"
