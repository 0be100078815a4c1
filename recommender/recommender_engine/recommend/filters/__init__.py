"""Filters on attributes: ``parse`` gives a typed expression, ``columns`` hold attributes, ``masks`` say what passes."""

from __future__ import annotations

from recommender_engine.recommend.filters.expression import Expression, attributes_of
from recommender_engine.recommend.filters.parsing import parse

# Columns, masks and checks are imported from their modules: a producer that asks with a filter loads no numpy.
__all__ = ["Expression", "attributes_of", "parse"]
