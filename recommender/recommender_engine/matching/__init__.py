"""Verdicts on pairs of items: the `Matcher` interface and its implementations."""

from recommender_engine.matching.differences.variants import Family, family_of
from recommender_engine.matching.features.rows import judged_alone, rows_from
from recommender_engine.matching.features.table import FEATURES
from recommender_engine.matching.matchers.cosine import by_cosine
from recommender_engine.matching.matchers.learned import LearnedMatcher, ModelOf, StatisticsOf
from recommender_engine.matching.matchers.matcher import Candidate, Comparable, Matcher
from recommender_engine.matching.matchers.reasons import only_meaning
from recommender_engine.matching.matchers.rules import MATCHERS, MatcherFactory
from recommender_engine.matching.model.learning import OWN_MODEL_FROM, held_out, learn, measured
from recommender_engine.matching.model.operating_points import CLOSED, OperatingPoint, upper_bound
from recommender_engine.matching.model.pair_model import PairModel, default_model
from recommender_engine.matching.model.promises import Answered, Promise, more_right, promises
from recommender_engine.matching.model.review import review_rank, stated_now
from recommender_engine.matching.pair.profile import cached_bytes, forget_texts, item_terms
from recommender_engine.matching.pair.segments import Kind, Segment, View, kind_of_items
from recommender_engine.matching.pair.statistics import CountedTerms, TermStatistics
from recommender_engine.matching.trees import Floats

__all__ = [
    "CLOSED",
    "FEATURES",
    "MATCHERS",
    "OWN_MODEL_FROM",
    "Answered",
    "Candidate",
    "Comparable",
    "CountedTerms",
    "Family",
    "Floats",
    "Kind",
    "LearnedMatcher",
    "Matcher",
    "MatcherFactory",
    "ModelOf",
    "OperatingPoint",
    "PairModel",
    "Promise",
    "Segment",
    "StatisticsOf",
    "TermStatistics",
    "View",
    "by_cosine",
    "cached_bytes",
    "default_model",
    "family_of",
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
    "review_rank",
    "rows_from",
    "stated_now",
    "upper_bound",
]
