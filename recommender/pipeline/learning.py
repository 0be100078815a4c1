"""The matcher's model of each collection: the shipped one, moved by people's answers."""

from __future__ import annotations

import numpy as np

from recommender.matching import PairModel, default_model, learn, measured, rows_from
from recommender.pipeline.collections import Collections
from recommender.store import SqliteStore

# Learning takes longer the more answers there are, and each of them then changes less: it waits until this part of
# those it has learned from has changed.
_SHARE = 20


class Models:
    """Learns from answers and keeps what was learned; a restart judges like the process before it."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._models: dict[int, PairModel] = {}
        self._learned_from: dict[int, int] = {}

    def of(self, collection: str) -> PairModel:
        """The model of a collection, by its name."""
        found = self._collections.find(collection)
        return default_model() if found is None else self._of(found.id)

    def learned_from(self, collection: int) -> int:
        """How many answers its model has learned from."""
        self._of(collection)
        return self._learned_from[collection]

    def answered(self, collection: int) -> None:
        """One more answer was given or taken back: learn, if enough has changed since the last time."""
        pending = self._store.answers.pend(collection)
        if pending < max(1, self.learned_from(collection) // _SHARE):
            return
        given = self._store.answers.all(collection)
        if given:
            rows = rows_from([answer.features for answer in given])
            same = np.array([answer.same for answer in given], np.bool_)
            model = measured(
                learn(default_model(), rows, same), np.array([answer.probability for answer in given], np.float64), same
            )
            self._store.answers.put_model(collection, len(given), model.to_json())
        else:
            self._store.answers.drop_model(collection)
        self._models.pop(collection, None)
        self._learned_from.pop(collection, None)

    def retire(self, collection: int) -> None:
        """A collection has left."""
        self._models.pop(collection, None)
        self._learned_from.pop(collection, None)

    def reload(self) -> None:
        """Forget what is in memory: a transaction was rolled back."""
        self._models.clear()
        self._learned_from.clear()

    def _of(self, collection: int) -> PairModel:
        if collection not in self._models:
            kept = self._store.answers.model(collection)
            self._learned_from[collection] = 0 if kept is None else kept[0]
            # Always from what was stored, with its rounding: what judges now judges after a restart as well.
            self._models[collection] = default_model() if kept is None else PairModel.from_json(kept[1])
        return self._models[collection]
