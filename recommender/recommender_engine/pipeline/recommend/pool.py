"""The candidates of one list: items with the terms of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recommender_engine.matching import Family
from recommender_engine.store import Member


class Pool:
    """Collects what sources find.

    Attributes:
        members: by arrival number.
        terms: values of each term, by name and arrival number.
        because: ids of the items that a term comes from, by name and arrival number.
        canonical: items that are shown, by group.
        families: of the items that are shown, by group, where variants are looked for.
        used_up: by attribute, values of which the list has as many as it may have.
    """

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.terms: dict[str, dict[int, float]] = {}
        self.because: dict[str, dict[int, str]] = {}
        self.canonical: dict[str, Member] = {}
        self.families: dict[str, Family | None] = {}
        self.used_up: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self.members)

    def add(
        self,
        term: str,
        members: Sequence[Member],
        values: Sequence[float],
        because: Mapping[int, str] | None = None,
    ) -> None:
        """Add items with the value of a term; of an item that has one, the larger counts.

        Args:
            term: its name.
            members: the items, all different.
            values: of the term, at least 0, one for each item.
            because: ids of the items that the values come from, by arrival number.
        """
        seqs = [member.seq for member in members]
        self.members.update(zip(seqs, members, strict=True))
        known = self.terms.setdefault(term, {})
        larger = {seq: value for seq, value in zip(seqs, values, strict=True) if value > known.get(seq, 0.0)}
        known.update(larger)
        if because:
            named = {seq: because[seq] for seq in larger if seq in because}
            self.because.setdefault(term, {}).update(named)

    def terms_of(self, seq: int) -> dict[str, float]:
        """The values of the terms that an item has, by name."""
        return {term: values[seq] for term, values in self.terms.items() if seq in values}
