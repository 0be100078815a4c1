"""The matcher of each value of the setting ``rule``: each matcher is a module of this package and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recommender_engine.matching.matchers.cosine import CosineMatcher
from recommender_engine.matching.matchers.learned import LearnedMatcher, ModelOf, StatisticsOf
from recommender_engine.matching.matchers.matcher import Matcher

MatcherFactory = Callable[[StatisticsOf, ModelOf], Matcher]
"""Makes a matcher from the document frequencies and the models of collections, by name."""

MATCHERS: Mapping[str, MatcherFactory] = {
    "learned": LearnedMatcher,
    "cosine": lambda statistics, models: CosineMatcher(),
}
