"""Filters on attributes: ``parse`` gives a typed expression, ``Columns`` hold attributes, ``mask`` says what passes."""

from __future__ import annotations

from recommender_engine.recommend.filters.checks import check
from recommender_engine.recommend.filters.columns import Column, ColumnBuilder, Columns, Mask, Row
from recommender_engine.recommend.filters.expression import EVERYTHING, Expression, attributes_of
from recommender_engine.recommend.filters.masks import mask
from recommender_engine.recommend.filters.parsing import OPERATORS, parse

__all__ = [
    "EVERYTHING",
    "OPERATORS",
    "Column",
    "ColumnBuilder",
    "Columns",
    "Expression",
    "Mask",
    "Row",
    "attributes_of",
    "check",
    "mask",
    "parse",
]
