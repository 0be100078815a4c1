"""What decisions and questions both need: collections, vectors, words, candidates, verdicts on pairs."""

from __future__ import annotations

from recommender_engine.embedding import Encoders
from recommender_engine.matching import MATCHERS
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.filtering import Filters
from recommender_engine.pipeline.candidates.item_vectors import ItemVectors
from recommender_engine.pipeline.candidates.policy_index import PolicyIndex
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.judging import Judging
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.loading import load
from recommender_engine.pipeline.recommend.lists import RecommendationLists
from recommender_engine.pipeline.recommend.resolving import RequestResolver
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.second_models import SecondModels
from recommender_engine.pipeline.wiring.options import Options
from recommender_engine.store import SqliteStore


class Base:
    """Parts that decisions and questions share.

    Raises:
        ModelError: a collection holds vectors of a model other than the one its settings name.
    """

    def __init__(self, store: SqliteStore, encoders: Encoders, indexes: Indexes, options: Options) -> None:
        self.store = store
        self.encoders = encoders
        self.messages = options.messages
        self.embedding = EmbeddingStep(store, encoders, self.messages, options.remote)
        self.collections = Collections(store, encoders, options.most_collections, self.messages)
        self.indexes = indexes
        load(store, self.collections, self.indexes)
        self.second_models = SecondModels(store, self.embedding)
        self.words = Words(store, self.collections)
        self.models = Models(store, self.collections)
        self.answers = Answers(store)
        self.policy_index = PolicyIndex(store, self.collections)
        self.compared_texts = ComparedTexts(store, self.messages)
        self.item_vectors = ItemVectors(store, self.embedding, self.compared_texts)
        self.search = CandidateSearch(store, indexes, self.compared_texts, self.policy_index, self.words)
        self.recommendations = Recommendations(store, self.compared_texts)
        factories = {**MATCHERS, "learned": options.matcher}.items()
        matchers = {rule: make(self.words.statistics, self.models.of) for rule, make in factories}
        self.judging = Judging(store, self.search, matchers)
        self.current_verdicts = CurrentVerdicts(store)
        self.filters = Filters(store, indexes)
        self.resolver = RequestResolver(
            store, self.collections, self.embedding, self.item_vectors, self.search, self.filters
        )
        self.lists = RecommendationLists(
            store, self.resolver, self.compared_texts, self.recommendations, indexes, self.filters
        )
