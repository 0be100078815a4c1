"""The main path: commands in, events out."""

from recommender_engine.pipeline.collections import MOST_COLLECTIONS
from recommender_engine.pipeline.queries.comparing import ComparedPair
from recommender_engine.pipeline.queries.incident_views import IncidentView
from recommender_engine.pipeline.queries.search.searching import FoundItem
from recommender_engine.pipeline.queries.search.similar import SearchHit
from recommender_engine.pipeline.queries.views import ItemView
from recommender_engine.pipeline.recommend.listed import Listed
from recommender_engine.pipeline.recommender import Recommender
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.prefetching import EmbeddingExecutor, TimedEmbeddings
from recommender_engine.pipeline.wiring.options import Options

__all__ = [
    "MOST_COLLECTIONS",
    "ComparedPair",
    "EmbeddingExecutor",
    "FoundItem",
    "IncidentView",
    "Indexes",
    "ItemView",
    "Listed",
    "Options",
    "Recommender",
    "SearchHit",
    "TimedEmbeddings",
]
