"""Checks on the names of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import Any

from recommender.errors import ConfigurationError


def distinct_columns(names: Iterable[str]) -> tuple[str, ...]:
    """The names as given; raises ``ConfigurationError`` when one comes twice, for one value would be lost."""
    counts = Counter(names)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ConfigurationError(f"more than one column is named {', '.join(map(repr, repeated))}")
    return tuple(counts)


def known_columns(values: Mapping[str, Any], known: Set[str]) -> None:
    """Raise ``ConfigurationError`` when a row holds a column that was not announced, rather than lose it."""
    if not values.keys() <= known:
        unknown = ", ".join(repr(name) for name in values if name not in known)
        raise ConfigurationError(f"not among the columns of the output: {unknown}")
