"""What a list holds."""

from __future__ import annotations

from recommender_engine.items import ListedItem
from recommender_engine.items.values import Attributes


class Listed(ListedItem):
    """One recommendation with what its item says.

    Attributes:
        text: what the item says.
        compared: what of that is compared; ``None`` where that is all of it.
        attributes: its attributes.
        recommendation_id: of the list; ``None`` if the request names none (the Celery task makes one).
        arm: of the experiment of the scenario, if the user is in one.
    """

    text: str
    compared: str | None
    attributes: Attributes
    recommendation_id: str | None = None
    arm: str | None = None
