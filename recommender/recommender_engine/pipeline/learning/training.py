"""Learning that takes long: it is done beside the decisions, and takes effect at a moment that the log determines.

What is learned is a function of the answers up to one of them, and takes effect with the first entry from a later
moment of stream time on. So it does not matter how fast it was learned: who comes to that entry earlier waits. Where
an answer is taken back meanwhile, the lesson begins anew.
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
"""From so many answers, the newest, a model is learned; more make it hardly better."""

LESSON_MS = 30_000
_MOST_BEGUN = 4  # a lesson that is disturbed once more is learned when it is due, however long that takes

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
    """Begins lessons and has them take effect; one is learned at a time, by a thread of its own."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._turn = threading.Lock()
        self._lessons: dict[int, TrainingRun] = {}
        self._learning: dict[TrainingRun, tuple[Future[Model], int]] = {}
        self._reload()
        store.on_rollback(self._reload)
        store.on_retire(self._end)

    def under_way(self, collection: int) -> bool:
        """Whether the collection has one."""
        return collection in self._lessons

    def begin(self, collection: int, now_ms: int) -> None:
        """Learn from all answers there are now."""
        last = self._store.lessons.last_answer(collection)
        self._put(TrainingRun(collection, last, now_ms + LESSON_MS))

    def disturb(self, collection: int) -> None:
        """An answer that it may be learning from is gone."""
        lesson = self._lessons.get(collection)
        if lesson is not None and not lesson.stale:
            self._put(replace(lesson, stale=True))

    def due(self, entry: Entry, take: Callable[[int, int, Model], None]) -> None:
        """Have those take effect that are due before ``entry``.

        Args:
            entry: that is decided next.
            take: is given the collection, from how many answers was learned, and the model.
        """
        for lesson in list(self._lessons.values()):
            if not self._is_here(lesson):
                continue
            if entry.time_ms < lesson.due_ms:
                self._start(lesson)  # after a restart
            elif lesson.stale and lesson.begun < _MOST_BEGUN:
                last = self._store.lessons.last_answer(lesson.collection)
                self._put(TrainingRun(lesson.collection, last, entry.time_ms + LESSON_MS, begun=lesson.begun + 1))
            else:
                future, answers = self._start(replace(lesson, stale=False), again=lesson.stale)
                take(lesson.collection, answers, future.result())
                self._end(lesson.collection)

    def due_ms(self) -> int | None:
        """Stream time at which the next one takes effect, or ``None``."""
        return min((one.due_ms for one in self._lessons.values() if self._is_here(one)), default=None)

    def _end(self, collection: int) -> None:
        self._store.lessons.remove(collection)
        self._forget(self._lessons.pop(collection, None))

    def _reload(self) -> None:
        self._lessons = {lesson.collection: lesson for lesson in self._store.lessons.all()}
        for lesson in set(self._learning) - set(self._lessons.values()):
            self._forget(lesson)

    def _is_here(self, lesson: TrainingRun) -> bool:
        """Whether its collection is not on its way to another partition."""
        found = self._collections.by_id(lesson.collection)
        return found is not None and found.name not in self._collections.frozen

    def _put(self, lesson: TrainingRun) -> None:
        self._forget(self._lessons.get(lesson.collection))
        self._store.lessons.put(lesson)
        self._lessons[lesson.collection] = lesson
        self._start(lesson)

    def _forget(self, lesson: TrainingRun | None) -> None:
        if lesson is not None and lesson in self._learning:
            self._learning.pop(lesson)[0].cancel()

    def _start(self, lesson: TrainingRun, *, again: bool = False) -> tuple[Future[Model], int]:
        if lesson.stale:
            return Future(), 0
        if again:
            self._forget(lesson)
        if lesson not in self._learning:
            rows = self._store.lessons.answers(lesson.collection, lesson.last, MOST_LEARNED_FROM)
            future: Future[Model] = Future()
            threading.Thread(target=self._learn, args=(future, rows), name="recommender-learning", daemon=True).start()
            self._learning[lesson] = future, len(rows)
        return self._learning[lesson]

    def _learn(self, future: Future[Model], rows: list[TrainingExample]) -> None:
        with self._turn:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(learned(rows))
            except BaseException as error:
                future.set_exception(error)
