"""After a change of the embedding model answered pairs are compared again, a few before each command.

What people said holds all the time; what the matcher learned from it rests on features by the model of before. Once all
pairs have theirs by the model of now, it is learned again.
"""

from __future__ import annotations

from recommender_engine.items import TickClock
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.item_verdicts import ItemVerdicts
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.store import Collection, SqliteStore

COMPARED = 2
"""Answered pairs that are compared before one command; ``_TIMES_ON_A_TICK`` as many before ``clock.ticked``."""
_TIMES_ON_A_TICK = 10


class Relearning:
    """Compares answered pairs by the model of now, and has the matcher learn again."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        verdicts: ItemVerdicts,
        models: Models,
    ) -> None:
        self._store = store
        self._collections = collections
        self._verdicts = verdicts
        self._models = models

    def switched(self, collection: Collection) -> None:
        """The embedding model of a collection is another one."""
        if collection.settings.compares_texts:
            collection.unlearned_answer = self._store.training.last_answer(collection.id)
            self._collections.touch(collection)

    def some(self, decision: Decision) -> None:
        """Compare some answered pairs again; to be called before each command."""
        collection = self._collections.unlearned()
        if collection is None:
            return
        limit = COMPARED * (_TIMES_ON_A_TICK if isinstance(decision.entry.command, TickClock) else 1)
        found = self._store.answers.up_to(collection.id, collection.unlearned_answer, limit)
        self._models.disturb(collection.id)  # a run may be learning from them
        for number, one, other in found:
            self._compare(decision.within(collection), number, {one, other})
            collection.unlearned_answer = number - 1
        if len(found) < limit:
            collection.unlearned_answer = 0
            self._models.learn_again(collection.id, decision.entry)
        self._collections.touch(collection)

    def _compare(self, decision: CollectionDecision, number: int, ids: set[str]) -> None:
        """Compare one pair again, if both items are still stored."""
        collection = decision.collection
        members = sorted(self._store.items.named(collection.id, ids))
        if len(members) == len(ids):
            earlier, later = members
            score = self._verdicts.score(decision, later, earlier)
            self._store.answers.put_features(number, score.features, score.kind)
