"""Names of columns: each once, whatever the file says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from recommender_engine.errors import ConfigurationError


def column_names(header: Sequence[str]) -> tuple[str, ...]:
    """A name for each column of a header: without blanks around it, by its place where it has none.

    One that comes several times is followed by its number in brackets at each of them, so that the first is not taken
    for the only one: ``Labels [1]``, ``Labels [2]``.
    """
    bare = [name.replace("\ufeff", "").strip() or f"column {place}" for place, name in enumerate(header, 1)]
    counts = Counter(bare)
    taken = {name for name, count in counts.items() if count == 1}
    seen: Counter[str] = Counter()
    names = []
    for name in bare:
        if counts[name] > 1:
            seen[name] += 1
            while (numbered := f"{name} [{seen[name]}]") in taken:
                seen[name] += 1
            name = numbered
            taken.add(name)
        names.append(name)
    return tuple(names)


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
