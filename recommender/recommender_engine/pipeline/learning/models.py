"""The matcher's model of each collection: the shipped one, adapted by people's answers."""

from __future__ import annotations

from recommender_engine.items import Entry
from recommender_engine.matching import OWN_MODEL_FROM, PairModel, default_model
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.learning.training import MOST_LEARNED_FROM, Training, learned
from recommender_engine.store import SqliteStore

# Training takes longer the more answers there are, and each of them changes less: it waits until this part of the
# answers that the model has learned from has changed.
_SHARE = 20


class Models:
    """Learns from answers and keeps what was learned; a restart judges like the process before it.

    A few answers take effect at once. From ``OWN_MODEL_FROM`` on, training takes seconds: then it runs in a thread, and
    takes effect half a minute of stream time later (`Training`).
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._training = Training(store, collections)
        self._models: dict[int, PairModel] = {}
        self._learned_from: dict[int, int] = {}
        store.on_rollback(self._reload)
        store.on_retire(self._forget)

    def of(self, collection: str) -> PairModel:
        """The model of a collection, by its name."""
        found = self._collections.find(collection)
        return default_model() if found is None else self._of(found.id)

    def by_number(self, collection: int) -> PairModel:
        """The same, by its number."""
        return self._of(collection)

    def learned_from(self, collection: int) -> int:
        """How many answers its model has learned from."""
        self._of(collection)
        return self._learned_from[collection]

    def answered(self, collection: int, entry: Entry, *, instead: bool) -> None:
        """One more answer was given or taken back: learn, if enough has changed since the last time.

        Args:
            collection: its number.
            entry: that says so.
            instead: whether an earlier answer on the same pair is gone.
        """
        if instead:
            self.disturb(collection)
        pending = self._store.answers.pend(collection)
        if pending < max(1, self.learned_from(collection) // _SHARE) or self._training.under_way(collection):
            return
        self._learn(collection, entry)

    def learn_again(self, collection: int, entry: Entry) -> None:
        """The features of all answers are others: learn from them again."""
        if not self._training.under_way(collection):  # else it begins again by itself
            self._learn(collection, entry)

    def _learn(self, collection: int, entry: Entry) -> None:
        count = self._store.answers.count(collection)
        if count >= OWN_MODEL_FROM:
            self._store.answers.begin_training(collection)
            self._training.begin(collection, entry.time_ms)
            return
        if count:
            last = self._store.training.last_answer(collection)
            given = self._store.training.answers(collection, last, MOST_LEARNED_FROM)
            self._store.answers.put_model(collection, len(given), learned(given))
        else:
            self._store.answers.drop_model(collection)
        self._forget(collection)

    def disturb(self, collection: int) -> None:
        """Answers are gone that a run may be learning from."""
        self._training.disturb(collection)

    def take_effect(self, entry: Entry) -> None:
        """Have models take effect that were trained in a thread and are due before ``entry``."""
        self._training.due(entry, self._take)

    def due_ms(self) -> int | None:
        """Stream time at which the next model takes effect, or ``None``."""
        return self._training.due_ms()

    def _take(self, collection: int, answers: int, model: dict[str, object]) -> None:
        self._store.answers.replace_model(collection, answers, model)
        self._forget(collection)

    def _reload(self) -> None:
        self._models.clear()
        self._learned_from.clear()

    def _forget(self, collection: int) -> None:
        self._models.pop(collection, None)
        self._learned_from.pop(collection, None)

    def _of(self, collection: int) -> PairModel:
        if collection not in self._models:
            kept = self._store.answers.model(collection)
            if kept is not None and not PairModel.knows(kept[1]):
                kept = None  # of a release with other features: the next answer teaches anew, from all there are
            self._learned_from[collection] = 0 if kept is None else kept[0]
            # Always from what was stored, with its rounding: what judges now judges after a restart as well.
            self._models[collection] = default_model() if kept is None else PairModel.from_json(kept[1])
        return self._models[collection]
