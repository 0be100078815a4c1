"""The interface of a matcher: a verdict for each pair of an item and a candidate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items import CollectionSettings, Item, PairVerdict

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Comparable:
    """One side of a pair.

    Attributes:
        item: the item.
        fingerprint: of its canonical text.
    """

    item: Item
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """An earlier item that may be a duplicate.

    Attributes:
        other: the earlier item.
        similarity: cosine of the two embeddings, in [-1, 1].
        arrivals_apart: difference of the arrival numbers, at least 1; ``None`` unless both items have arrived.
        vector: its embedding, shape (dimension,), unit length; ``None`` if candidates are not compared with each other.
    """

    other: Comparable
    similarity: float
    arrivals_apart: int | None = field(default=None, kw_only=True)
    vector: Vector | None = field(default=None, compare=False, repr=False)


class Matcher(Protocol):
    """Turns candidates into verdicts. A pure function: the same input gives the same verdicts, in any batch."""

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> Iterable[PairVerdict]:
        """One verdict for each candidate, in the order given, without reasons; evaluated lazily."""

    def explain(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> PairVerdict:
        """The verdict on ``candidates[chosen]`` among all of them, with its reasons."""

    def row(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> dict[str, float]:
        """Features of the pair with ``candidates[chosen]``, by name; stored with answers for learning."""
