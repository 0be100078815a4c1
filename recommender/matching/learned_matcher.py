"""Verdicts from a calibrated model of the pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recommender.items import Band, CollectionSettings, Item, PairVerdict, Reason
from recommender.matching.features import Comparison, compare, contexts, features
from recommender.matching.matcher import Candidate, Comparable
from recommender.matching.model import PairModel, default_model
from recommender.matching.profile import ItemTerms, Profile, item_terms, profile
from recommender.matching.reasons import contributions, only_meaning, reasons
from recommender.matching.statistics import TermStatistics

# An item is taken apart when it arrives and again whenever it is a candidate; the recent ones are kept.
_KEPT_ITEMS = 4096
_BELOW = 0.001
_IDENTICAL = Reason(code="identical_text", text="the same text but for case and white space")

StatisticsOf = Callable[[str], TermStatistics]
"""The document frequencies of a collection, by its name."""

ModelOf = Callable[[str], PairModel]
"""The model of a collection, by its name."""


class LearnedMatcher:
    """Judges by a model of the features of a pair; the same canonical text is always a duplicate.

    ``duplicate`` begins where precision was the target on sets held out, ``review`` where a person's look pays. Below,
    a pair is ``similar`` by its cosine alone. A contested pair (the same wording, another number) gets no further than
    ``review``.

    Args:
        statistics: document frequencies by collection.
        models: the model by collection; by default the one that ships with the package.
    """

    def __init__(self, statistics: StatisticsOf, models: ModelOf | None = None) -> None:
        self._statistics = statistics
        self._models = models or _shipped
        self._terms = _RecentTerms()

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        """One verdict for each candidate, in the order given."""
        different = [one for one in candidates if one.other.fingerprint != item.fingerprint]
        judged = iter(self._judge(item.item, different, settings))
        return [
            next(judged) if candidate.other.fingerprint != item.fingerprint else _identical(candidate)
            for candidate in candidates
        ]

    def _judge(self, item: Item, candidates: Sequence[Candidate], settings: CollectionSettings) -> list[PairVerdict]:
        if not candidates:
            return []
        model = self._models(item.collection)
        pairs = self._compare(item, candidates)
        rows = [features(pair, context) for pair, context in zip(pairs, contexts(pairs), strict=True)]
        probabilities = model.probabilities(np.array(rows)).tolist()
        verdicts = []
        for pair, row, stated in zip(pairs, rows, probabilities, strict=True):
            # What looks the same and says another number is for a person to tell apart, however sure the model is.
            probability = min(stated, model.duplicate_from - _BELOW) if pair.contested else stated
            band = _band(probability, pair.cosine, model, settings)
            verdicts.append(
                PairVerdict(
                    band=band,
                    probability=round(probability, 4),
                    similarity=pair.cosine,
                    reasons=_evidence(pair, row, band, model),
                )
            )
        return verdicts

    def _compare(self, item: Item, candidates: Sequence[Candidate]) -> list[Comparison]:
        statistics = self._statistics(item.collection)
        mine = self._profile(item, statistics)
        return [compare(mine, self._profile(one.other.item, statistics), one.similarity) for one in candidates]

    def _profile(self, item: Item, statistics: TermStatistics) -> Profile:
        return profile(item, self._terms.of(item), statistics)


class _RecentTerms:
    """Items taken apart, by what they say; forgets the oldest."""

    def __init__(self) -> None:
        self._kept: dict[str | tuple[tuple[str, str], ...], ItemTerms] = {}

    def of(self, item: Item) -> ItemTerms:
        key = item.content if item.fields is None else tuple(item.fields.items())
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _KEPT_ITEMS:
                del self._kept[next(iter(self._kept))]
            found = self._kept[key] = item_terms(item)
        return found


def _shipped(collection: str) -> PairModel:
    return default_model()


def _identical(candidate: Candidate) -> PairVerdict:
    return PairVerdict(band=Band.DUPLICATE, probability=1.0, similarity=candidate.similarity, reasons=(_IDENTICAL,))


def _evidence(pair: Comparison, row: list[float], band: Band, model: PairModel) -> tuple[Reason, ...]:
    # Weighing the evidence takes longer than judging by it, and nobody acts on pairs below review.
    if band in {Band.DUPLICATE, Band.REVIEW}:
        return reasons(pair, contributions(model, row))
    return only_meaning(pair.cosine)


def _band(probability: float, cosine: float, model: PairModel, settings: CollectionSettings) -> Band:
    if probability >= model.duplicate_from:
        return Band.DUPLICATE
    if probability >= model.review_from:
        return Band.REVIEW
    return Band.SIMILAR if cosine >= settings.similar_from else Band.NEW
