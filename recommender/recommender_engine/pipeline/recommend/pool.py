"""The candidates of one list: items with the terms of their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recommender_engine.matching import Family
from recommender_engine.store import Member


class Pool:
    """Collects what sources find.

    Attributes:
        members: by arrival number.
        terms: of each, by arrival number and name.
        because: ids of the items that a term comes from, by arrival number and name.
        canonical: items that are shown, by group.
        families: of the items that are shown, by group, where variants are looked for.
        used_up: by attribute, values of which the list has as many as it may have.
    """

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.terms: dict[int, dict[str, float]] = {}
        self.because: dict[int, dict[str, str]] = {}
        self.canonical: dict[str, Member] = {}
        self.families: dict[str, Family | None] = {}
        self.used_up: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self.members)

    def add(self, term: str, found: Iterable[tuple[Member, float]], because: Mapping[int, str] | None = None) -> None:
        """Add items with the value of a term; of an item that has one, the larger counts."""
        for member, value in found:
            terms = self.terms.setdefault(member.seq, {})
            self.members[member.seq] = member
            if value > terms.get(term, 0.0):
                terms[term] = value
                if because is not None and member.seq in because:
                    self.because.setdefault(member.seq, {})[term] = because[member.seq]

    def term(self, seq: int, name: str) -> float:
        """The value of a term; 0 where no source has found the item."""
        return self.terms[seq].get(name, 0.0)
