"""How good recommendations are on recorded interactions: a strict split in time, baselines, the engine itself."""

from recommender_engine.evaluation.recommendations.baselines import baselines
from recommender_engine.evaluation.recommendations.figures import Figures, ItemFigures, ListFigures, UserFigures
from recommender_engine.evaluation.recommendations.history import History, Interaction, Past
from recommender_engine.evaluation.recommendations.judging import (
    LIMIT,
    Catalogue,
    ItemMethod,
    Method,
    judge_items,
    judge_users,
)
from recommender_engine.evaluation.recommendations.product import Product
from recommender_engine.evaluation.recommendations.recorded import Recorded
from recommender_engine.evaluation.recommendations.truth import BasketQuery, Truth, truth_of

__all__ = [
    "LIMIT",
    "BasketQuery",
    "Catalogue",
    "Figures",
    "History",
    "Interaction",
    "ItemFigures",
    "ItemMethod",
    "ListFigures",
    "Method",
    "Past",
    "Product",
    "Recorded",
    "Truth",
    "UserFigures",
    "baselines",
    "judge_items",
    "judge_users",
    "truth_of",
]
