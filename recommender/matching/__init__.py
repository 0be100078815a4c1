"""Verdicts on pairs, behind one seam."""

from recommender.matching.cosine_matcher import CosineMatcher, by_cosine
from recommender.matching.features import FEATURES
from recommender.matching.learned_matcher import LearnedMatcher, ModelOf, StatisticsOf
from recommender.matching.learning import OWN_MODEL_FROM, learn, measured
from recommender.matching.matcher import Candidate, Comparable, Matcher
from recommender.matching.model import PairModel, default_model
from recommender.matching.operating_points import OperatingPoint
from recommender.matching.profile import bytes_of_texts, forget_texts, item_terms
from recommender.matching.reasons import only_meaning
from recommender.matching.rows import judged_alone, rows_from
from recommender.matching.statistics import CountedTerms, TermStatistics

__all__ = [
    "FEATURES",
    "OWN_MODEL_FROM",
    "Candidate",
    "Comparable",
    "CosineMatcher",
    "CountedTerms",
    "LearnedMatcher",
    "Matcher",
    "ModelOf",
    "OperatingPoint",
    "PairModel",
    "StatisticsOf",
    "TermStatistics",
    "by_cosine",
    "bytes_of_texts",
    "default_model",
    "forget_texts",
    "item_terms",
    "judged_alone",
    "learn",
    "measured",
    "only_meaning",
    "rows_from",
]
