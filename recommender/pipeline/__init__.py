"""The main path: commands in, events out."""

from recommender.pipeline.ahead import EmbeddingExecutor, TimedEmbeddings
from recommender.pipeline.collections import MOST_COLLECTIONS
from recommender.pipeline.comparing import ComparedPair
from recommender.pipeline.indexes import Indexes
from recommender.pipeline.reads import ItemView, SearchHit
from recommender.pipeline.recommender import MatcherFactory, Recommender

__all__ = [
    "MOST_COLLECTIONS",
    "ComparedPair",
    "EmbeddingExecutor",
    "Indexes",
    "ItemView",
    "MatcherFactory",
    "Recommender",
    "SearchHit",
    "TimedEmbeddings",
]
