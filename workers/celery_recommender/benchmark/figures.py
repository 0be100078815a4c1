"""What was measured: one value for each round, and ratios that are taken round by round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One thing, measured in every round.

    Attributes:
        what: it is.
        unit: of the values.
        values: one for each round; at least one.
    """

    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)

    def over(self, other: Figure) -> float:
        """How many times the other it is: the median of the rounds' ratios, since only a round sees one machine.

        Raises:
            ValueError: the two were not measured in the same rounds.
        """
        return statistics.median(one / another for one, another in zip(self.values, other.values, strict=True))


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that ``percent`` in a hundred do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
