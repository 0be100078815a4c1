"""Which cells of a file say nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from celery_recommender.records.values.text import is_missing
from recommender_engine.items.placeholders import bare, says_nothing

# What programs write for a value that they do not have. "none" in a text is a fact: no allergens, no discount.
_WRITTEN_BY_PROGRAMS = frozenset({"n a", "null", "nan", "nat", "nil", "n", "undefined", "k a", "n d", "n v", "unknown"})


@dataclass(frozen=True, slots=True)
class Blanks:
    """Tells cells that say nothing: empty ones, and placeholders such as ``N/A``, ``-`` or ``siehe Anhang``.

    Attributes:
        more: placeholders beside the known ones, in their bare form.
        known: whether the known ones count.
    """

    more: frozenset[str] = frozenset()
    known: bool = True

    @classmethod
    def of(cls, more: Iterable[str], *, known: bool) -> Self:
        """With further words."""
        return cls(frozenset(map(bare, more)), known)

    def holds(self, value: Any) -> bool:
        """Whether a cell says nothing where a text or a date is expected."""
        if not isinstance(value, str):
            return is_missing(value)
        return not value.strip() or (self.known and says_nothing(value)) or self._added(value)

    def is_null(self, value: Any) -> bool:
        """Whether a cell is a placeholder for a missing value, and no word that may be a value."""
        if not isinstance(value, str):
            return is_missing(value)
        if not value.strip() or self._added(value):
            return True
        return self.known and says_nothing(value) and (not (word := bare(value)) or word in _WRITTEN_BY_PROGRAMS)

    def names_nothing(self, value: Any) -> bool:
        """Whether a cell is no id: a missing value, also as programs write it. Other words may be ids."""
        return self.is_null(value) or (self.known and isinstance(value, str) and value.strip().casefold() == "none")

    def _added(self, value: str) -> bool:
        return bool(self.more) and bare(value) in self.more
