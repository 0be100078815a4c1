"""Novelty: how unlike anything before an item is, against recent arrivals of its collection."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items.limits import NOVELTY_SAMPLE
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.recent import Recent
from recommender_engine.store import Collection, SqliteStore

NEIGHBOURS = 5
"""So many of the nearest items count."""
LEAST = 100
"""So many arrivals are in the sample before a novelty is stated."""

_KEPT = 1000  # collections, with 8 kB each
_MULTIPLIER, _MASK, _HALF = (
    0x9E3779B97F4A7C15,
    2**64 - 1,
    32,
)  # Fibonacci hashing: arrivals in a row fill the slots evenly
_DECIMALS, _DISTANCE_DECIMALS = 4, 6


class Novelty:
    """States the novelty of items, and keeps a sample of distances for those that come later.

    The distance of an item is one minus the mean cosine to its nearest items; its novelty is the share of the sample
    with a smaller one. The sample has a slot for each hash of an arrival number, so it holds about the last
    ``NOVELTY_SAMPLE`` arrivals.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._kept: Recent[int, NDArray[np.float64]] = Recent(_KEPT)
        self._changed: dict[tuple[int, int], float] = {}
        store.on_rollback(self._reload)
        store.on_retire(self._forget)

    def arrived(self, collection: Collection, seq: int, candidates: Candidates) -> float | None:
        """The novelty of an item that arrives, in [0, 1]; ``None`` where it cannot be stated yet.

        Args:
            collection: where it arrives.
            seq: its arrival number.
            candidates: what is near it; it is not among them.
        """
        nearest = [similarity for _, similarity in islice(candidates.nearest(), NEIGHBOURS)]
        if len(nearest) < NEIGHBOURS:
            return None
        distance = round(1.0 - sum(nearest) / NEIGHBOURS, _DISTANCE_DECIMALS)
        sample, slot = self._of(collection.id), slot_of(seq)
        known = int(np.count_nonzero(sample >= -1.0))
        stated = None if known < LEAST else round(int(np.count_nonzero(sample < distance)) / known, _DECIMALS)
        sample[slot] = self._changed[collection.id, slot] = distance
        return stated

    def flush(self) -> None:
        """Write changes; part of the running transaction."""
        self._store.novelty.put((id_, slot, distance) for (id_, slot), distance in sorted(self._changed.items()))
        self._changed.clear()

    def sample(self, collection: Collection) -> tuple[float | None, ...]:
        """Distances by slot, for a collection that moves; empty where there are none."""
        found = self._of(collection.id).tolist()
        return tuple(None if one != one else one for one in found) if self._store.novelty.of(collection.id) else ()

    def adopt(self, collection: Collection, sample: Iterable[float | None]) -> None:
        """Store the sample of a collection that has moved here."""
        self._store.novelty.put((collection.id, slot, one) for slot, one in enumerate(sample) if one is not None)
        self._kept.drop(collection.id)

    def reset(self, collection: Collection) -> None:
        """Distances by another model say nothing of those to come; part of the running transaction."""
        self._store.novelty.clear(collection.id)
        self._forget(collection.id)

    def _of(self, collection: int) -> NDArray[np.float64]:
        found = self._kept.get(collection)
        if found is None:
            found = np.full(NOVELTY_SAMPLE, np.nan)
            for slot, distance in self._store.novelty.of(collection):
                found[slot] = distance
            for (id_, slot), distance in self._changed.items():
                if id_ == collection:
                    found[slot] = distance
            self._kept.put(collection, found)
        return found

    def _reload(self) -> None:
        self._kept.clear()
        self._changed.clear()

    def _forget(self, collection: int) -> None:
        self._kept.drop(collection)
        self._changed = {key: value for key, value in self._changed.items() if key[0] != collection}


def slot_of(seq: int) -> int:
    """The slot of an arrival number in the sample."""
    return (((seq * _MULTIPLIER) & _MASK) >> _HALF) % NOVELTY_SAMPLE
