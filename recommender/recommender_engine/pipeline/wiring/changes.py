"""What several commands need to change the state: arrivals and departures, groups, incidents, what falls due."""

from __future__ import annotations

from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.arrival.item_rows import ItemRows
from recommender_engine.pipeline.arrival.relearning import Relearning
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.dedup.corrections import Corrections
from recommender_engine.pipeline.dedup.groups import Groups
from recommender_engine.pipeline.dedup.item_verdicts import ItemVerdicts
from recommender_engine.pipeline.dedup.review_budget import ReviewBudget
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.pipeline.wiring.base import Base


class Changes:
    """Parts that change the state for more than one command."""

    def __init__(self, base: Base) -> None:
        store, collections = base.store, base.collections
        self.summaries = Summaries(store, collections)
        self.expiry = Expiry(store, collections)
        self.incidents = Incidents(store, collections)
        self.novelty = Novelty(store)
        self.moves = MovedCollections(store, collections, base.words)
        self.changed_lists = ChangedLists(store, collections)
        self.groups = Groups(store, base.compared_texts, base.judging, base.answers, base.models.of)
        self.corrections = Corrections(store, base.current_verdicts, self.changed_lists)
        review = ReviewBudget(collections, base.models.of)
        store.standings.rank_by(review.rank)
        self.verdicts = ItemVerdicts(store, base.search, base.judging, base.answers, self.groups, review)
        self.rows = ItemRows(store, base.words, self.expiry)
        self.departures = Departures(store, self.verdicts, self.rows, self.corrections, self.changed_lists)
        self.relearning = Relearning(store, collections, self.verdicts, base.models)
