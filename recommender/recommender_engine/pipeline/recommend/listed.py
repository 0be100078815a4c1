"""What a list holds."""

from __future__ import annotations

from recommender_engine.items.values import Attributes, Value


class Listed(Value):
    """One recommendation.

    Attributes:
        id: the canonical item of its group.
        score: of the item, at least 0; comparable inside one list.
        group: its group.
        terms: what the score is made of, by name, before boosts: ``text`` (cosine), ``together`` (used together),
            ``bridge`` (used together with similar items), ``own`` (used before), ``users``, ``sessions``,
            ``interests``, ``popular``, ``trending``, ``newest``, ``pinned``; each in [0, 1] before it is weighed.
        why: the same for people, strongest first.
        text: what the item says.
        attributes: its attributes.
        recommendation_id: of the list; ``None`` if the request names none (the Celery task makes one).
        arm: of the experiment of the scenario, if the user is in one.
    """

    id: str
    score: float
    group: str
    terms: dict[str, float]
    why: str
    text: str
    attributes: Attributes
    recommendation_id: str | None = None
    arm: str | None = None
