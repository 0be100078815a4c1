"""A plain rule: same text, or cosine similarity above a threshold unless the identifiers contradict it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from recommender.items import Band, CollectionSettings, PairVerdict, Reason
from recommender.matching.matcher import Candidate, Comparable

# Order numbers, error codes, versions, sizes: any word with a digit in it.
_IDENTIFIER = re.compile(r"[^\W_]*\d(?:[\w.,/-]*\w)?")
_WORD = re.compile(r"[^\W\d_]{2,}")
# Two texts are "the same but for their identifiers" when they share this part of their other words (Jaccard).
_SAME_WORDING = 0.6


class CosineRule:
    """Bands by cosine similarity, with two exceptions.

    The same canonical text is always a duplicate. And where two texts share most of their wording but each has an
    identifier the other lacks (order 1042 against order 1043), similarity proves nothing: the pair goes to review at
    most.

    The probability is read off a line through the collection's thresholds (0.95 at ``duplicate_from``, 0.5 at
    ``review_from``, 0.05 at ``similar_from``). It orders pairs; it is not calibrated.
    """

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        """One verdict for each candidate, in the order given."""
        return [self._judge(item, candidate, settings) for candidate in candidates]

    def _judge(self, item: Comparable, candidate: Candidate, settings: CollectionSettings) -> PairVerdict:
        if item.fingerprint == candidate.other.fingerprint:
            reason = Reason(code="identical_text", text="the same text but for case and white space")
            return PairVerdict(band=Band.DUPLICATE, probability=1.0, similarity=candidate.similarity, reasons=(reason,))
        similarity = candidate.similarity
        band = _band(similarity, settings)
        reasons = [
            Reason(
                code="cosine_similarity",
                text=f"the meaning is {similarity:.0%} alike",
                detail={"similarity": similarity, "duplicate_from": settings.duplicate_from},
            )
        ]
        if band is Band.DUPLICATE and (contradiction := _contradiction(item, candidate.other)):
            band = Band.REVIEW
            similarity = min(similarity, settings.duplicate_from)
            reasons.insert(0, contradiction)
        return PairVerdict(
            band=band,
            probability=_probability(
                similarity, settings, at_most=0.5 if band is Band.REVIEW and len(reasons) > 1 else 1.0
            ),
            similarity=candidate.similarity,
            reasons=() if band is Band.NEW else tuple(reasons),
        )


def _band(similarity: float, settings: CollectionSettings) -> Band:
    if similarity >= settings.duplicate_from:
        return Band.DUPLICATE
    if similarity >= settings.review_from:
        return Band.REVIEW
    if similarity >= settings.similar_from:
        return Band.SIMILAR
    return Band.NEW


def _probability(similarity: float, settings: CollectionSettings, at_most: float) -> float:
    line = np.interp(
        similarity,
        [-1.0, settings.similar_from, settings.review_from, settings.duplicate_from, 1.0],
        [0.0, 0.05, 0.5, 0.95, 1.0],
    )
    return round(min(float(line), at_most), 4)


def _contradiction(one: Comparable, other: Comparable) -> Reason | None:
    """Identifiers that each text has alone, when the rest of the wording is the same."""
    mine, theirs = _identifiers(one), _identifiers(other)
    only_mine, only_theirs = sorted(mine - theirs), sorted(theirs - mine)
    if not (only_mine and only_theirs) or _overlap(_words(one), _words(other)) < _SAME_WORDING:
        return None
    return Reason(
        code="identifiers_differ",
        text=f"same wording, but {', '.join(only_mine[:3])} here and {', '.join(only_theirs[:3])} there",
        detail={"here": only_mine[:10], "there": only_theirs[:10]},
    )


def _identifiers(side: Comparable) -> set[str]:
    return set(_IDENTIFIER.findall(side.item.content.casefold()))


def _words(side: Comparable) -> set[str]:
    return set(_WORD.findall(_IDENTIFIER.sub(" ", side.item.content.casefold())))


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0
