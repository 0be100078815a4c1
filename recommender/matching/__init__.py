"""Verdicts on pairs, behind one seam."""

from recommender.matching.cosine_rule import CosineRule
from recommender.matching.learned_matcher import LearnedMatcher, ModelOf, StatisticsOf
from recommender.matching.matcher import Candidate, Comparable, Matcher
from recommender.matching.model import PairModel, default_model
from recommender.matching.profile import item_terms
from recommender.matching.statistics import CountedTerms, TermStatistics

__all__ = [
    "Candidate",
    "Comparable",
    "CosineRule",
    "CountedTerms",
    "LearnedMatcher",
    "Matcher",
    "ModelOf",
    "PairModel",
    "StatisticsOf",
    "TermStatistics",
    "default_model",
    "item_terms",
]
