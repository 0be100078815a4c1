"""Weights of lists for items, chosen for each collection by how well they predict its own interactions.

Prequential evaluation (Dawid 1984; Gama et al. 2013): a few fixed blends of text and behaviour rank what an interaction
brings together before it is learned, and the blend with the best record serves.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recommend.behaviour.decay import HALF_LIFE_MS, growth

FEW = 5.0
"""An item or a user with so many interactions is half way from cold to warm."""

MOST_WANTED = 16
"""So many items of the open session, the latest, are to be found again."""

CONTROLS = 64
"""So many recent interactions of the collection stand beside them."""

LEAST_CONTROLS = 20

_BUCKETS = (5, 20)
_ALL_JUDGED, _STEP, _RAREST = 100, 40, 9
_PROVEN, _BETTER, _OWN = 3.0, 2.0, 3.0
_LEAST_JUDGED = 30.0
_PRIOR_JUDGED, _PRIOR_LEAD, _PRIOR_SPREAD = 50.0, 0.05, 0.1


class Blend(NamedTuple):
    """Factors of the weights of the prior.

    Attributes:
        name: for people.
        together: of what is used together.
        text: of the text.
        bridge: of what is used together with similar texts.
    """

    name: str
    together: float
    text: float
    bridge: float

    def weights(self, evidence: float) -> dict[str, float]:
        """The weights of the terms of an item with so many interactions: text counts where behaviour says little."""
        cold = FEW / (evidence + FEW)
        return {
            "together": self.together,
            "text": self.text * (0.1 + 0.3 * cold),
            "bridge": self.bridge * 0.5 * (1.0 - cold),
        }


TEXT, PRIOR = 0, 2
BLENDS = (
    Blend("text", 0.0, 1.0, 0.0),
    Blend("more text", 1.0, 4.0, 1.0),
    Blend("prior", 1.0, 1.0, 1.0),
    Blend("less text", 1.0, 0.3, 0.5),
    Blend("behaviour", 1.0, 0.01, 0.0),
)
_ALONE = Blend("behaviour alone", 1.0, 0.0, 0.0)  # judged, never served: whether behaviour predicts anything
_JUDGED = (*BLENDS, _ALONE)
_SIZE = 1 + len(_JUDGED)


@dataclass(slots=True)
class Record:
    """What is known of the blends in one collection.

    Attributes:
        judged: interactions that were judged, ever.
        at_ms: of the last one, in stream time.
        recent: numbers of the items of recent interactions, a sample, oldest first.
        sums: of the outer products of (1, reward of each judged blend), by bucket of evidence; decayed, shape
            (buckets, 1 + blends, 1 + blends).
    """

    judged: int = 0
    at_ms: int = 0
    recent: list[int] = field(default_factory=list)
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(_BUCKETS) + 1, _SIZE, _SIZE)))

    @property
    def share(self) -> int:
        """One of so many interactions is judged, a power of two: of the first all, of later ones ever fewer."""
        return 1 << min(_RAREST, max(0, (self.judged - _ALL_JUDGED) // _STEP + 1))

    def saw(self, item: int) -> None:
        """An interaction of the sample."""
        self.recent = [*self.recent, item][-CONTROLS:]

    def add(self, rewards: NDArray[np.float64], evidence: float, at_ms: int) -> None:
        """An interaction was judged.

        Args:
            rewards: of each blend, see ``rewards``.
            evidence: interactions with the item before.
            at_ms: stream time.
        """
        row = np.concatenate([[1.0], rewards])
        self.sums *= growth(self.at_ms, at_ms, HALF_LIFE_MS) if self.judged else 1.0
        self.sums[bucket(evidence)] += np.outer(row, row)
        self.judged += 1
        self.at_ms = at_ms

    def encoded(self) -> tuple[bytes, bytes]:
        """``recent`` as uint32 and ``sums`` as float64, little-endian."""
        return array("I", self.recent).tobytes(), self.sums.astype("<f8").tobytes()

    @classmethod
    def decoded(cls, judged: int, at_ms: int, recent: bytes, sums: bytes) -> Record:
        """The record of ``encoded``."""
        shape = (len(_BUCKETS) + 1, _SIZE, _SIZE)
        return cls(judged, at_ms, array("I", recent).tolist(), np.frombuffer(sums, "<f8").reshape(shape).copy())


class Serving(NamedTuple):
    """The blends that serve in a collection.

    Attributes:
        blends: places in ``BLENDS`` by bucket of evidence.
        why: for people.
    """

    blends: tuple[int, ...]
    why: str

    @property
    def names(self) -> dict[str, str]:
        """The blends by the number of interactions with an item."""
        edges = (1, *_BUCKETS)
        ranges = [*(f"{low} to {high - 1}" for low, high in pairwise(edges)), f"{edges[-1]} or more"]
        return {named: BLENDS[place].name for named, place in zip(ranges, self.blends, strict=True)}

    def weights(self, evidence: float) -> dict[str, float]:
        """The weights of the terms; an item without interactions has the order of its text under any blend."""
        return BLENDS[self.blends[bucket(evidence)]].weights(evidence)


def bucket(evidence: float) -> int:
    """Place of a bucket of evidence: fewer than 5 interactions, fewer than 20, more."""
    return sum(evidence >= edge for edge in _BUCKETS)


def rewards(
    together: NDArray[np.float64], text: NDArray[np.float64], wanted: int, evidence: float
) -> NDArray[np.float64]:
    """How well each judged blend finds items again among others: mean reciprocal rank, shape (blends,).

    Each wanted item is ranked among the controls by itself; among items with the same score it has each rank with the
    same probability. What an order that knows nothing gets on average is taken off. The bridge, which would
    need a search, is left out: it goes with the blend.

    Args:
        together: scores of the items, the wanted ones first, shape (n,).
        text: cosines, shape (n,).
        wanted: how many are wanted, at least 1; the others are controls.
        evidence: interactions with the item that is asked for.
    """
    blends = [blend.weights(evidence) for blend in _JUDGED]
    scores = np.stack([one["together"] * together + one["text"] * np.maximum(text, 0.0) for one in blends])
    asked, controls = scores[:, :wanted, None], scores[:, None, wanted:]
    above = (controls > asked).sum(axis=2)
    level = (controls >= asked).sum(axis=2) + 1
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, controls.shape[2] + 2))])
    by_chance = float(harmonic[-1]) / (controls.shape[2] + 1)
    found: NDArray[np.float64] = ((harmonic[level] - harmonic[above]) / (level - above)).mean(axis=1) - by_chance
    return found


def served(record: Record | None) -> Serving:
    """The blends that serve, from their record.

    Behaviour that finds items no better than chance does not count: then text serves. Else the prior does, unless
    another blend is better by two standard errors, and in a bucket of evidence a third one by three. Until there is a
    record, behaviour is believed to be worth something: as if it had been so 50 times.
    """
    if record is None or not record.judged:
        return Serving((PRIOR,) * (len(_BUCKETS) + 1), "the prior: nothing was judged yet")
    total = record.sums.sum(axis=0)
    lead, error = _believed(total)
    alone = f"{record.judged} interactions judged, behaviour alone {lead:+.3f} over chance, standard error {error:.3f}"
    if lead <= _PROVEN * error:
        return Serving((TEXT,) * (len(_BUCKETS) + 1), f"behaviour predicts no better than chance: {alone}")
    best = _best(total, PRIOR, _BETTER)
    chosen = tuple(_best(part, best, _OWN) for part in record.sums)
    means = ", ".join(f"{blend.name} {total[0, 1 + place] / total[0, 0]:+.3f}" for place, blend in enumerate(BLENDS))
    return Serving(chosen, f"reciprocal rank over chance of {means}; {alone}")


def _believed(sums: NDArray[np.float64]) -> tuple[float, float]:
    """Mean reward of behaviour alone and its standard error, together with what is believed before."""
    judged, total, squares = float(sums[0, 0]), float(sums[0, -1]), float(sums[-1, -1])
    judged += _PRIOR_JUDGED
    total += _PRIOR_JUDGED * _PRIOR_LEAD
    squares += _PRIOR_JUDGED * (_PRIOR_SPREAD**2 + _PRIOR_LEAD**2)
    mean = total / judged
    return mean, sqrt(max(0.0, squares / judged - mean * mean) / judged)


def _best(sums: NDArray[np.float64], served: int, errors: float) -> int:
    """The blend with the highest mean of those that are better than the one that serves by so many standard errors."""
    judged = float(sums[0, 0])
    best, highest = served, 0.0
    if judged < _LEAST_JUDGED:
        return best
    old = 1 + served
    for place in range(len(BLENDS)):
        new = 1 + place
        lead = float(sums[0, new] - sums[0, old]) / judged
        square = float(sums[new, new] - 2.0 * sums[new, old] + sums[old, old]) / judged
        if lead > errors * sqrt(max(0.0, square - lead * lead) / judged) and lead > highest:
            best, highest = place, lead
    return best
