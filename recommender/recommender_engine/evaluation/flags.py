"""Flags against labels: precision and recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recommender_engine.evaluation.clusters import clusters


@dataclass(frozen=True, slots=True)
class Flags:
    """How many are flagged, how many are labelled, and how many flags are right.

    Shares are in [0, 1], and ``None`` where there is nothing to divide by.
    """

    flagged: int
    labelled: int
    right: int

    @property
    def precision(self) -> float | None:
        """Of the flagged, the share that is right."""
        return share(self.right, self.flagged)

    @property
    def recall(self) -> float | None:
        """Of the labelled, the share that is flagged rightly."""
        return share(self.right, self.labelled)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both."""
        return share(2 * self.right, self.flagged + self.labelled)

    def __add__(self, other: Flags) -> Flags:
        return Flags(self.flagged + other.flagged, self.labelled + other.labelled, self.right + other.right)


def share(part: int, whole: int) -> float | None:
    """The share that a part has; ``None`` of nothing."""
    return part / whole if whole else None


def duplicates_against(labels: Mapping[str, str], duplicate_of: Mapping[str, str]) -> Flags:
    """Score duplicates against labels.

    Args:
        labels: id of the original by id of the duplicate; an original may itself be a duplicate.
        duplicate_of: the same as flagged.
    """
    true = clusters(labels.items(), [*duplicate_of, *duplicate_of.values()])
    right = sum(item in labels and true[item] == true[original] for item, original in duplicate_of.items())
    return Flags(len(duplicate_of), len(labels), right)
