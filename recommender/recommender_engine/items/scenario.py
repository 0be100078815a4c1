"""Options of lists under a name in the settings of a collection, and the arms of an experiment with them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from recommender_engine.items.list_request import ListOptions
from recommender_engine.items.values import Name

MOST_SCENARIOS = 32
MOST_ARMS = 8
_ROUNDING = 1e-9


class Arm(ListOptions):
    """One side of an experiment: options that come before those of the scenario.

    Attributes:
        share: of the users that are in it.
    """

    share: Annotated[float, Field(gt=0.0, le=1.0)]


class Scenario(ListOptions):
    """Options under a name, and the arms of an experiment with them.

    Attributes:
        arms: by name. A user is always in the same; the users that the shares leave are in none and get the options of
            the scenario.
    """

    arms: Annotated[dict[Name, Arm], Field(max_length=MOST_ARMS)] = Field(default_factory=dict)

    @field_validator("arms")
    @classmethod
    def _at_most_all(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        if sum(arm.share for arm in arms.values()) > 1.0 + _ROUNDING:
            raise ValueError("the shares of the arms are more than 1 together")
        return arms

    @property
    def shares(self) -> dict[str, float]:
        """The share of each arm, by name."""
        return {name: arm.share for name, arm in self.arms.items()}
