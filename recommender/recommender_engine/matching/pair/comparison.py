"""The comparison of a pair, from which features and reasons are computed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from recommender_engine.matching.pair.agreement import NO_MEASURES, NOTHING, Agreement
from recommender_engine.matching.pair.profile import Profile
from recommender_engine.matching.pair.wording import Wording
from recommender_engine.matching.text.units import Measure

_NONE: Mapping[str, Agreement[str]] = MappingProxyType({})


class Comparison(NamedTuple):
    """The comparison of a pair.

    Attributes:
        cosine: of the embeddings.
        wording: shared terms, by rarity.
        words_shared: share of common words in all words, in [0, 1].
        differences: word-by-word differences in otherwise the same wording, by the name of the evidence.
        disputed: the kinds of evidence in which the two contradict each other.
        contradictions: contradictions whatever the wording, by the name of the evidence (`Evidence.contradiction`).
        contested: similar text, different subject: similar wordings or titles that differ in a number, code, size or
            colour; or one of ``contradictions``.
        arrivals_apart: see `Candidate`.
    """

    one: Profile
    other: Profile
    cosine: float
    wording: Wording
    words_shared: float
    differences: Mapping[str, Agreement[str]] = _NONE
    identifiers: Agreement[str] = NOTHING
    numbers: Agreement[str] = NOTHING
    colours: Agreement[str] = NOTHING
    measures: Agreement[Measure] = NO_MEASURES
    dimensions: Agreement[str] = NOTHING
    titles_contradict: bool = False
    contradictions: Mapping[str, Agreement[str]] = _NONE
    disputed: tuple[str, ...] = ()
    contested: bool = False
    arrivals_apart: int | None = None

    @property
    def only_words(self) -> bool:
        """Whether both sides have only words to compare."""
        return self.one.terms.plain and self.other.terms.plain

    @property
    def dimensions_differ(self) -> bool:
        """Whether both state dimensions, and have none in common."""
        return self.dimensions.contradicts and not self.dimensions.shared

    def agreement(self, kind: str) -> Agreement[str] | Agreement[Measure]:
        """The agreement in one of the kinds that can be `disputed`; ``measures`` is without the dimensions."""
        if kind == "measures":
            return self.measures
        return {"identifiers": self.identifiers, "numbers": self.numbers, "colours": self.colours}[kind]

    def contested_only_by(self, kind: str) -> bool:
        """Whether one kind of evidence alone makes the pair contested.

        A dispute of titles, over numbers or measures, counts as the kind that differs in the whole, or as numbers.
        """
        disputed = self.disputed or (("numbers",) if self.titles_contradict else ())
        return [*disputed, *self.contradictions] == [kind]
