"""Figures of verdicts: how good their order is, what the bands are worth, and whether probabilities are true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from recommender_engine.evaluation.metrics import best_f1
from recommender_engine.items import Band, ItemProcessed
from tools.arrivals import Arrivals
from tools.played import Stated

Z = 1.96
STATED_FROM, LEAST_BIN, MOST_BINS = 0.1, 100, 10
QUEUE = 20


class Bin(NamedTuple):
    """Pairs of about the same stated probability: its mean, the share that is true, and how many there are."""

    stated: float
    true: float
    pairs: int


@dataclass(frozen=True)
class Flags:
    """What one band of a view is worth at a target precision.

    Attributes:
        flagged: in the band ``duplicate``.
        known: of those, how many have a label.
        right: of those, how many are the same thing.
        of: how many there were to find.
        review: share of all in the band ``review``.
        held: how many to find are in ``review``; of a stream, matched with a true twin.
        lost: how many to find are in neither band.
        queue: of the twenty likeliest in ``review``, how many are the same thing.
    """

    flagged: int
    known: int
    right: int
    of: int
    review: float
    held: int
    lost: int
    queue: int

    def to_json(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "precision": self.right / self.known if self.known else None,
            "precision_lower": wilson_lower(self.right, self.known),
            "recall": self.right / self.of if self.of else None,
        }


@dataclass(frozen=True)
class View:
    """Figures of one way of looking at a set.

    Attributes:
        name: ``stream``, ``alone``, ``pairs alone`` or ``pairs in view``.
        items: judged; of pairs, how many there are.
        pairs: with a label.
        same: of those, how many are the same thing.
        average_precision: over the pairs; ``None`` where all are of one kind.
        best_f1: the same.
        flags: by target precision.
        bins: of equal count, of the pairs stated at `STATED_FROM` or more.
    """

    name: str
    items: int
    pairs: int
    same: int
    average_precision: float | None
    best_f1: float | None
    flags: dict[float, Flags] = field(default_factory=dict)
    bins: list[Bin] = field(default_factory=list)

    @property
    def calibration_error(self) -> float | None:
        """Mean distance of stated and true over the bins, weighted by pairs."""
        total = sum(one.pairs for one in self.bins)
        return sum(one.pairs * abs(one.stated - one.true) for one in self.bins) / total if total else None

    @property
    def overconfident(self) -> float | None:
        """By how much a bin states more than is true, at most."""
        return max((one.stated - one.true for one in self.bins), default=None)

    def to_json(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "flags": {str(target): one.to_json() for target, one in self.flags.items()},
            "bins": [one._asdict() for one in self.bins],
            "calibration_error": self.calibration_error,
            "overconfident": self.overconfident,
        }


def wilson_lower(right: int, of: int) -> float | None:
    """Lower bound of the 95 % score interval of a share (Wilson 1927)."""
    if not of:
        return None
    share, z2 = right / of, Z * Z
    middle = share + z2 / (2 * of)
    return (middle - Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of))) / (1 + z2 / of)


def calibration(labels: np.ndarray, stated: np.ndarray) -> list[Bin]:
    """Bins of equal count of the pairs stated at `STATED_FROM` or more, at least `LEAST_BIN` in each."""
    order = np.argsort(stated, kind="stable")
    order = order[stated[order] >= STATED_FROM]
    if len(order) < LEAST_BIN:
        return []
    parts = np.array_split(order, min(MOST_BINS, len(order) // LEAST_BIN))
    return [Bin(float(stated[one].mean()), float(labels[one].mean()), len(one)) for one in parts]


def view_of_pairs(
    name: str, labels: np.ndarray, stated: np.ndarray, bands: dict[float, Sequence[Band]], items: int | None = None
) -> View:
    """A view of labelled pairs; ``bands`` are theirs by target precision."""
    both = bool(labels.any() and not labels.all())
    return View(
        name,
        len(labels) if items is None else items,
        len(labels),
        int(labels.sum()),
        float(average_precision_score(labels, stated)) if both else None,
        best_f1(labels, stated)[0] if both else None,
        {target: _flags_of_pairs(labels, stated, said) for target, said in bands.items()},
        calibration(labels, stated),
    )


def _flags_of_pairs(labels: np.ndarray, stated: np.ndarray, bands: Sequence[Band]) -> Flags:
    flagged, review = (np.array([one is band for one in bands], bool) for band in (Band.DUPLICATE, Band.REVIEW))
    queue = [int(place) for place in np.argsort(-stated, kind="stable") if review[place]][:QUEUE]
    return Flags(
        flagged=int(flagged.sum()),
        known=int(flagged.sum()),
        right=int(labels[flagged].sum()),
        of=int(labels.sum()),
        review=float(review.mean()),
        held=int(labels[review].sum()),
        lost=int(labels[~flagged & ~review].sum()),
        queue=int(labels[queue].sum()),
    )


def view_of_stream(
    stream: Arrivals, stated: dict[float, list[Stated]], said: dict[float, list[ItemProcessed]]
) -> tuple[View, View]:
    """The view of a stream as it came, and of its candidate pairs judged alone.

    Args:
        stream: the items.
        stated: of all candidate pairs, by target precision.
        said: of all items, by target precision.
    """
    number = {item.id: place for place, item in enumerate(stream.items)}

    def same(one: Stated) -> bool | None:
        return stream.same(number[one.item], number[one.other])

    pairs = {target: [one for one in found if same(one) is not None] for target, found in stated.items()}
    first = next(iter(pairs.values()))
    labels = np.array([same(one) for one in first], bool)
    seen = view_of_pairs("stream", labels, np.array([one.probability for one in first]), {}, len(stream.items))
    seen.flags.update({target: _flags_of_stream(stream, number, one) for target, one in said.items()})
    bands = {target: [one.alone_band for one in found] for target, found in pairs.items()}
    alone = view_of_pairs("alone", labels, np.array([one.alone for one in first]), bands)
    return seen, alone


def _flags_of_stream(stream: Arrivals, number: dict[str, int], said: Sequence[ItemProcessed]) -> Flags:
    repeats = stream.repeats()

    def same(one: ItemProcessed, other: str | None) -> bool | None:
        return False if other is None else stream.same(number[one.item_id], number[other])

    flagged = [same(one, one.duplicate_of) for one in said if one.band is Band.DUPLICATE]
    review = [one for one in said if one.band is Band.REVIEW]
    likeliest = sorted(review, key=lambda one: -one.probability)[:QUEUE]
    in_bands = {number[one.item_id] for one in said if one.band in {Band.DUPLICATE, Band.REVIEW}}
    return Flags(
        flagged=len(flagged),
        known=sum(one is not None for one in flagged),
        right=sum(one is True for one in flagged),
        of=int(repeats.sum()),
        review=len(review) / len(said),
        held=sum(bool(same(one, one.matched_id)) for one in review if repeats[number[one.item_id]]),
        lost=sum(place not in in_bands for place in np.flatnonzero(repeats).tolist()),
        queue=sum(bool(same(one, one.matched_id)) for one in likeliest),
    )
