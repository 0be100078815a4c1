"""Thresholds of the bands of a collection."""

from __future__ import annotations

from typing import NamedTuple

from recommender_engine.items import Band, CollectionSettings
from recommender_engine.matching.model.pair_model import PairModel
from recommender_engine.matching.pair.segments import Segment

# A contested pair is put this far below the duplicate band.
_BELOW = 0.001


class Thresholds(NamedTuple):
    """Lower limits of the bands.

    Attributes:
        duplicate: by probability; `CLOSED` where the target precision was not measured.
        review: by probability, at most ``duplicate``.
        similar: by cosine.
    """

    duplicate: float
    review: float
    similar: float

    @classmethod
    def of(cls, model: PairModel, settings: CollectionSettings, segment: Segment) -> Thresholds:
        """Thresholds of a collection: by its target precision and settings, else those of the model."""
        duplicate = model.duplicate_threshold(settings.target_precision, segment)
        review = model.review_from if settings.review_from is None else settings.review_from
        return cls(duplicate, min(review, duplicate), settings.similar_from)

    def capped(self, probability: float) -> float:
        """The probability of a contested pair: below the duplicate band, so that it goes to review."""
        return min(probability, max(self.duplicate - _BELOW, 0.0))

    def band(self, probability: float, cosine: float, usual: float = 0.0) -> Band:
        """The band of a pair.

        Args:
            probability: of the pair, in [0, 1].
            cosine: of its embeddings.
            usual: probability by the model before any answer, where that counts for ``review``.
        """
        if probability >= self.duplicate:
            return Band.DUPLICATE
        if max(probability, usual) >= self.review:
            return Band.REVIEW
        return Band.SIMILAR if cosine >= self.similar else Band.NEW
