"""A collection changes its live model for its second one, and all that was computed by the model before follows."""

from __future__ import annotations

from recommender_engine.pipeline.arrival.relearning import Relearning
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.pipeline.vectors.switching import Switching
from recommender_engine.store import Collection, SecondModel


class Promotion:
    """Promotes second models: vectors, novelty, what the matcher learned, and lists of recommendations."""

    def __init__(
        self,
        collections: Collections,
        switching: Switching,
        novelty: Novelty,
        relearning: Relearning,
        changed_lists: ChangedLists,
    ) -> None:
        self._collections = collections
        self._switching = switching
        self._novelty = novelty
        self._relearning = relearning
        self._changed_lists = changed_lists

    def promote(self, decision: Decision, collection: Collection, second: SecondModel) -> None:
        """Make the second model of a collection its live one.

        Raises:
            InvalidCommand: it cannot embed one of the items; nothing was changed.
            EncodingError: the model failed.
        """
        self._switching.switch(collection, second)
        self._collections.touch(collection)
        decision.batch.overlays.pop(collection.id, None)
        self._novelty.reset(collection)
        self._relearning.switched(collection)
        if self._changed_lists.follows(collection):
            self._changed_lists.queue(collection, "all")
