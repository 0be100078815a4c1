"""Verdicts against labels: precision and recall of the duplicate flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """How flags compare with labels.

    Attributes:
        flagged: items flagged as duplicates.
        labelled: items labelled as duplicates.
        right: flagged items whose ``duplicate_of`` is, by the labels, the same thing.
    """

    flagged: int
    labelled: int
    right: int

    @property
    def precision(self) -> float | None:
        """Of the flagged, how many are right; ``None`` when nothing was flagged."""
        return round(self.right / self.flagged, 4) if self.flagged else None

    @property
    def recall(self) -> float | None:
        """Of the labelled, how many were found; ``None`` when there are no labels."""
        return round(self.right / self.labelled, 4) if self.labelled else None

    def __add__(self, other: Score) -> Score:
        return Score(self.flagged + other.flagged, self.labelled + other.labelled, self.right + other.right)


def score(flags: Mapping[str, str], labels: Mapping[str, str]) -> Score:
    """Score flags against labels.

    Args:
        flags: id of the original by id of the flagged item.
        labels: the same by the labels; an original may itself be labelled.
    """

    def root(item: str) -> str:
        seen = set()
        while item in labels and item not in seen:
            seen.add(item)
            item = labels[item]
        return item

    right = sum(1 for item, original in flags.items() if item in labels and root(item) == root(original))
    return Score(len(flags), len(labels), right)
