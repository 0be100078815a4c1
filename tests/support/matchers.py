"""Matchers for tests of the code around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recommender_engine.items import Band, CollectionSettings, PairVerdict, Reason
from recommender_engine.matching import Candidate, Comparable, Matcher, ModelOf, StatisticsOf

DUPLICATE_FROM = 0.86
REVIEW_FROM = 0.75


class CosineMatcher:
    """Bands by thresholds of the cosine alone, so that a test can put a pair into any band by its vectors.

    The same fingerprint is a duplicate with probability 1. The probability lies on a line through the cuts; it orders
    pairs and is not calibrated. Where ``similar`` begins is a setting of the collection, the other cuts are fixed.
    """

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        """One verdict for each candidate, in the order given, without reasons."""
        unexplained = {"reasons": (), "explanation": ""}
        return [_verdict(item, one, settings).model_copy(update=unexplained) for one in candidates]

    def explain(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> PairVerdict:
        """The verdict on ``candidates[chosen]``, with its reasons."""
        return _verdict(item, candidates[chosen], settings)

    def row(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> dict[str, float]:
        """The cosine."""
        return {"cosine": candidates[chosen].similarity}


def cosine_matcher(statistics: StatisticsOf, models: ModelOf) -> Matcher:
    """A ``MatcherFactory``."""
    return CosineMatcher()


def beside(sides: Sequence[Comparable], cosines: Sequence[float]) -> list[Candidate]:
    """Candidates with these cosines to an item; the cosine of two candidates is the product of theirs."""
    vectors = np.eye(len(cosines), len(cosines) + 1, 1, np.float32) * np.sqrt(1 - np.square(cosines))[:, np.newaxis]
    vectors[:, 0] = cosines
    return [
        Candidate(side, cosine, vector.astype(np.float32))
        for side, cosine, vector in zip(sides, cosines, vectors, strict=True)
    ]


def _verdict(item: Comparable, candidate: Candidate, settings: CollectionSettings) -> PairVerdict:
    if candidate.other.fingerprint == item.fingerprint:
        return _identical(candidate)
    return _by_cosine(candidate.similarity, settings)


def _identical(candidate: Candidate) -> PairVerdict:
    reason = Reason(code="identical_text", text="the same text but for case and white space")
    return PairVerdict(
        band=Band.DUPLICATE,
        probability=1.0,
        similarity=candidate.similarity,
        reasons=(reason,),
        explanation=reason.text,
    )


def _by_cosine(similarity: float, settings: CollectionSettings) -> PairVerdict:
    band = _band(similarity, settings)
    text = f"the meaning is {similarity:.0%} alike"
    told = (Reason(code="cosine_similarity", text=text, detail={"similarity": similarity}),)
    # A collection may begin `similar` anywhere; the line must rise all the same.
    cuts = [-1.0, min(settings.similar_from, REVIEW_FROM), REVIEW_FROM, DUPLICATE_FROM, 1.0]
    probability = round(float(np.interp(similarity, cuts, [0.0, 0.05, 0.5, 0.95, 0.99])), 4)
    reasons, explanation = ((), "") if band is Band.NEW else (told, text)
    return PairVerdict(
        band=band, probability=probability, similarity=similarity, reasons=reasons, explanation=explanation
    )


def _band(similarity: float, settings: CollectionSettings) -> Band:
    if similarity >= DUPLICATE_FROM:
        return Band.DUPLICATE
    if similarity >= REVIEW_FROM:
        return Band.REVIEW
    return Band.SIMILAR if similarity >= settings.similar_from else Band.NEW
