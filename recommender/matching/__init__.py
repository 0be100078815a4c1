"""Verdicts on pairs, behind one seam."""

from recommender.matching.cosine_matcher import CosineMatcher, by_cosine
from recommender.matching.features import FEATURES
from recommender.matching.learned_matcher import LearnedMatcher, ModelOf, StatisticsOf
from recommender.matching.learning import OWN_MODEL_FROM, held_out, learn, measured
from recommender.matching.matcher import Candidate, Comparable, Matcher
from recommender.matching.model import PairModel, default_model
from recommender.matching.operating_points import CLOSED, OperatingPoint, upper_bound
from recommender.matching.places import Kind, Place, View, kind_of_items
from recommender.matching.profile import bytes_of_texts, forget_texts, item_terms
from recommender.matching.promises import Answered, Promise, more_right, promises
from recommender.matching.reasons import only_meaning
from recommender.matching.rows import judged_alone, rows_from
from recommender.matching.statistics import CountedTerms, TermStatistics
from recommender.matching.trees import Floats

__all__ = [
    "CLOSED",
    "FEATURES",
    "OWN_MODEL_FROM",
    "Answered",
    "Candidate",
    "Comparable",
    "CosineMatcher",
    "CountedTerms",
    "Floats",
    "Kind",
    "LearnedMatcher",
    "Matcher",
    "ModelOf",
    "OperatingPoint",
    "PairModel",
    "Place",
    "Promise",
    "StatisticsOf",
    "TermStatistics",
    "View",
    "by_cosine",
    "bytes_of_texts",
    "default_model",
    "forget_texts",
    "held_out",
    "item_terms",
    "judged_alone",
    "kind_of_items",
    "learn",
    "measured",
    "more_right",
    "only_meaning",
    "promises",
    "rows_from",
    "upper_bound",
]
