"""Verdicts from the cosine alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recommender_engine.items import Band, CollectionSettings, PairVerdict
from recommender_engine.matching.matchers.matcher import Candidate, Comparable
from recommender_engine.matching.matchers.reasons import only_meaning


class CosineMatcher:
    """Judges by the cosine of two vectors only; for collections with ``rule: cosine``.

    The probability is only an order of pairs: it is 0.5 at the ``duplicate`` threshold, and not calibrated.
    """

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> Iterator[PairVerdict]:
        """One verdict for each candidate, in the order given, without reasons."""
        return (by_cosine(one.similarity, settings) for one in candidates)

    def explain(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> PairVerdict:
        """The verdict on ``candidates[chosen]``, with its reason."""
        return only_meaning(by_cosine(candidates[chosen].similarity, settings))

    def row(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> dict[str, float]:
        """The cosine."""
        return {"cosine": candidates[chosen].similarity}


def by_cosine(similarity: float, settings: CollectionSettings) -> PairVerdict:
    """The verdict for a similarity in [-1, 1], by the settings of a collection; without reasons."""
    duplicate_from = settings.duplicate_cosine
    if similarity >= duplicate_from:
        probability = 0.5 + 0.5 * (similarity - duplicate_from) / max(1.0 - duplicate_from, 1e-9)
    else:
        probability = 0.5 * (similarity + 1.0) / (duplicate_from + 1.0)
    probability = round(min(max(probability, 0.0), 1.0), 4)
    review_from = settings.review_from
    if similarity >= duplicate_from:
        band = Band.DUPLICATE
    elif review_from is not None and probability >= review_from:
        band = Band.REVIEW
    else:
        band = Band.SIMILAR if similarity >= settings.similar_from else Band.NEW
    return PairVerdict(band=band, probability=probability, similarity=similarity, reasons=())
