"""What answers questions about the committed state."""

from __future__ import annotations

from recommender_engine.pipeline.interactions.hit_rates import HitRates
from recommender_engine.pipeline.learning.promises import Promises
from recommender_engine.pipeline.queries.asked_items import AskedItems
from recommender_engine.pipeline.queries.calibrating import Calibrating
from recommender_engine.pipeline.queries.comparing import Comparing
from recommender_engine.pipeline.queries.export import Export
from recommender_engine.pipeline.queries.incident_views import IncidentViews
from recommender_engine.pipeline.queries.listing import Listing
from recommender_engine.pipeline.queries.review_queue import ReviewQueue
from recommender_engine.pipeline.queries.search.ranking import SearchRanking
from recommender_engine.pipeline.queries.search.searching import Searching
from recommender_engine.pipeline.queries.search.similar import SimilarItems
from recommender_engine.pipeline.queries.statistics import Statistics
from recommender_engine.pipeline.queries.views import Views
from recommender_engine.pipeline.wiring.base import Base
from recommender_engine.pipeline.wiring.changes import Changes


class Queries:
    """Parts that answer questions, and change nothing."""

    def __init__(self, base: Base, changes: Changes) -> None:
        store, collections, embedding, texts = base.store, base.collections, base.embedding, base.compared_texts
        search, recommendations, filters = base.search, base.recommendations, base.filters
        self.promises = Promises(store, collections, base.models)
        self.calibrating = Calibrating(store, collections, base.models, base.answers, self.promises)
        self.similar = SimilarItems(store, collections, base.item_vectors, search, recommendations, filters)
        self.views = Views(store, collections, texts, base.current_verdicts)
        self.listing = Listing(store, collections, base.current_verdicts, base.words)
        self.review_queue = ReviewQueue(store, collections, base.current_verdicts, base.answers, base.models.of)
        self.export = Export(store, collections, base.current_verdicts, base.second_models)
        self.statistics = Statistics(store, collections, base.indexes, base.answers, self.promises, base.second_models)
        ranking = SearchRanking(store, texts, base.indexes, search, filters, base.words)
        self.searching = Searching(store, collections, embedding, filters, ranking, recommendations)
        self.hit_rates = HitRates(store, collections)
        self.incident_views = IncidentViews(store, collections, changes.incidents)
        asked_items = AskedItems(store, collections, embedding, texts)
        self.comparing = Comparing(store, collections, asked_items, base.words, changes.verdicts, base.judging)
