"""The main path: commands in, events out."""

from recommender.pipeline.indexes import Indexes
from recommender.pipeline.reads import ItemView, SearchHit
from recommender.pipeline.recommender import MatcherFactory, Recommender

__all__ = ["Indexes", "ItemView", "MatcherFactory", "Recommender", "SearchHit"]
