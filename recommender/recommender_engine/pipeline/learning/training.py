"""Training that takes long: it runs in a thread, and takes effect at a moment that the log determines.

The model is a function of the answers up to one of them, and takes effect with the first entry after a later moment of
stream time. So the speed of training does not matter: the decision of that entry waits for it. If an answer is taken
back meanwhile, the run begins anew.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np

from recommender_engine.items import Entry
from recommender_engine.matching import (
    Answered,
    Floats,
    Kind,
    PairModel,
    default_model,
    held_out,
    judged_alone,
    learn,
    measured,
    rows_from,
)
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import SqliteStore, TrainingExample, TrainingRun

MOST_LEARNED_FROM = 5000
"""A model is learned from at most this many of the newest answers; more hardly improve it."""

TRAINING_MS = 30_000
_MOST_BEGUN = 4  # a run that is disturbed once more is trained when it is due, however long that takes

Model = dict[str, Any]


def learned(rows: list[TrainingExample]) -> Model:
    """The model that some answers teach, as JSON values."""
    features, answers = answered(rows)
    return measured(learn(default_model(), features, answers.labels), answers).to_json()


def answered(rows: list[TrainingExample]) -> tuple[Floats, Answered]:
    """What the matcher saw of pairs that were answered, shape (n, len(FEATURES)), and what was said of them."""
    features, same = _features(rows), np.array([one.same for one in rows], np.bool_)
    return features, _answered(rows, features, held_out(default_model(), features, same, recorded(rows)))


def answered_since(rows: list[TrainingExample], model: PairModel) -> Answered:
    """What was said of pairs that were answered since a model learned: it states what they are worth as it stands."""
    features = _features(rows)
    return _answered(rows, features, model.probabilities(features))


def _features(rows: list[TrainingExample]) -> Floats:
    return rows_from([json.loads(one.features) for one in rows])


def _answered(rows: list[TrainingExample], features: Floats, stated: Floats) -> Answered:
    same = np.array([one.same for one in rows], np.bool_)
    kinds = [None if one.kind is None else Kind(one.kind) for one in rows]
    return Answered(stated, same, judged_alone(features), kinds)


def recorded(rows: list[TrainingExample]) -> Floats:
    """Probability of each pair when it was answered, shape (n,)."""
    return np.array([one.probability for one in rows], np.float64)


class Training:
    """Begins training runs and has them take effect; one is trained at a time, by a thread of its own."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._turn = threading.Lock()
        self._runs: dict[int, TrainingRun] = {}
        self._learning: dict[TrainingRun, tuple[Future[Model], int]] = {}
        self._reload()
        store.on_rollback(self._reload)
        store.on_retire(self._end)

    def under_way(self, collection: int) -> bool:
        """Whether a run of the collection is under way."""
        return collection in self._runs

    def begin(self, collection: int, now_ms: int) -> None:
        """Begin a run on all answers that there are now."""
        last = self._store.training.last_answer(collection)
        self._put(TrainingRun(collection, last, now_ms + TRAINING_MS))

    def disturb(self, collection: int) -> None:
        """An answer that a run may be learning from is gone."""
        run = self._runs.get(collection)
        if run is not None and not run.stale:
            self._put(replace(run, stale=True))

    def due(self, entry: Entry, take: Callable[[int, int, Model], None]) -> None:
        """Have the runs take effect that are due before ``entry``.

        Args:
            entry: that is decided next.
            take: is given the collection, from how many answers was learned, and the model.
        """
        for run in list(self._runs.values()):
            if not self._is_here(run):
                continue
            if entry.time_ms < run.due_ms:
                self._start(run)  # after a restart
            elif run.stale and run.begun < _MOST_BEGUN:
                last = self._store.training.last_answer(run.collection)
                self._put(TrainingRun(run.collection, last, entry.time_ms + TRAINING_MS, begun=run.begun + 1))
            else:
                future, answers = self._start(replace(run, stale=False), again=run.stale)
                take(run.collection, answers, future.result())
                self._end(run.collection)

    def due_ms(self) -> int | None:
        """Stream time at which the next run takes effect, or ``None``."""
        return min((one.due_ms for one in self._runs.values() if self._is_here(one)), default=None)

    def _end(self, collection: int) -> None:
        self._store.training.remove(collection)
        self._forget(self._runs.pop(collection, None))

    def _reload(self) -> None:
        self._runs = {run.collection: run for run in self._store.training.all()}
        for run in set(self._learning) - set(self._runs.values()):
            self._forget(run)

    def _is_here(self, run: TrainingRun) -> bool:
        """Whether its collection does not move to another partition."""
        found = self._collections.by_id(run.collection)
        return found is not None and found.name not in self._collections.moving

    def _put(self, run: TrainingRun) -> None:
        self._forget(self._runs.get(run.collection))
        self._store.training.put(run)
        self._runs[run.collection] = run
        self._start(run)

    def _forget(self, run: TrainingRun | None) -> None:
        if run is not None and run in self._learning:
            self._learning.pop(run)[0].cancel()

    def _start(self, run: TrainingRun, *, again: bool = False) -> tuple[Future[Model], int]:
        if run.stale:
            return Future(), 0
        if again:
            self._forget(run)
        if run not in self._learning:
            rows = self._store.training.answers(run.collection, run.last, MOST_LEARNED_FROM)
            future: Future[Model] = Future()
            threading.Thread(target=self._learn, args=(future, rows), name="recommender-learning", daemon=True).start()
            self._learning[run] = future, len(rows)
        return self._learning[run]

    def _learn(self, future: Future[Model], rows: list[TrainingExample]) -> None:
        with self._turn:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(learned(rows))
            except BaseException as error:
                future.set_exception(error)
