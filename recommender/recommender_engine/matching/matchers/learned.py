"""Verdicts from a calibrated model of pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, inf
from typing import NamedTuple

import numpy as np

from recommender_engine.items import Band, CollectionSettings, Item, PairVerdict, Reason
from recommender_engine.matching.features.rows import named
from recommender_engine.matching.features.table import comparisons, features, rows
from recommender_engine.matching.matchers.matcher import Candidate, Comparable
from recommender_engine.matching.matchers.reasons import contributions, explanation, reasons
from recommender_engine.matching.model.bands import Thresholds
from recommender_engine.matching.model.pair_model import PairModel, default_model
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context, contexts, cosines_among
from recommender_engine.matching.pair.profile import clear_with_texts, item_terms, profiles
from recommender_engine.matching.pair.segments import Kind, Segment, View, kind_of
from recommender_engine.matching.pair.statistics import TermStatistics
from recommender_engine.matching.trees import Floats

_IDENTICAL = Reason(code="identical_text", text="the same text but for case and white space")

StatisticsOf = Callable[[str], TermStatistics]
"""The document frequencies of a collection, by its name."""

ModelOf = Callable[[str], PairModel]
"""The model of a collection, by its name."""


class LearnedMatcher:
    """Judges by a model of the features of a pair; an equal canonical text is always a duplicate.

    ``duplicate`` begins where held-out sets reached the collection's target precision, for the view and the kind of
    text of the pair; where they did not reach it, the band is closed. ``review`` begins where a review pays, or where
    the settings of the collection put it; without such a setting, answers do not take pairs out of it
    (`matching.model.review`). Below, a pair is ``similar`` by its cosine alone. A contested pair (the same wording,
    another number) is at most ``review``.

    Args:
        statistics: document frequencies by collection.
        models: the model by collection; by default the shipped one.
    """

    def __init__(self, statistics: StatisticsOf, models: ModelOf | None = None) -> None:
        self._statistics = statistics
        self._models = models or _shipped
        self._last: _LastJudged | None = None
        clear_with_texts(self)

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        """One verdict for each candidate, in the order given, without reasons."""
        judged = self._judge(item, candidates, settings)
        if len(candidates) > 1:
            self._last = _LastJudged(item, candidates, settings, judged)
        return [
            _identical(candidate) if one is None else one.verdict(())
            for candidate, one in zip(candidates, judged, strict=True)
        ]

    def explain(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> PairVerdict:
        """The verdict on ``candidates[chosen]`` among all of them, with its reasons."""
        last = self._last
        if last is None or last.item is not item or last.candidates is not candidates or last.settings is not settings:
            last = _LastJudged(item, candidates, settings, self._judge(item, candidates, settings))
        one = last.judged[chosen]
        if one is None:
            verdict = _identical(candidates[chosen])
            return verdict.model_copy(update={"reasons": (_IDENTICAL,), "explanation": _IDENTICAL.text})
        (weights,) = contributions(self._models(item.item.collection), one.row[np.newaxis])
        return one.verdict(reasons(one.pair, weights, one.without, one.context))

    def row(
        self, item: Comparable, candidates: Sequence[Candidate], chosen: int, settings: CollectionSettings
    ) -> dict[str, float]:
        """Features of the pair by name, without missing values; `rows_from` reads them back."""
        last = self._last
        if last is None or last.item is not item or last.candidates is not candidates or last.settings is not settings:
            last = _LastJudged(item, candidates, settings, self._judge(item, candidates, settings))
        one = last.judged[chosen]
        if one is not None:
            return named(one.row.tolist())
        (pair,) = self._compare(item.item, [candidates[chosen]], settings)
        return named(features(pair, Context()))

    def forget(self) -> None:
        """Clear the last judged pairs."""
        self._last = None

    def _judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[_Judged | None]:
        """Each pair with its probability; ``None`` for equal texts, which need no model."""
        different = [one for one in candidates if one.other.fingerprint != item.fingerprint]
        if not different:
            return [None] * len(candidates)
        model = self._models(item.item.collection)
        pairs = self._compare(item.item, different, settings)
        found = contexts(pairs, _cosines_among(different))
        feature_rows = rows(pairs, found)
        view = View.STREAM if len(pairs) > 1 else View.ALONE
        thresholds = {kind: Thresholds.of(model, settings, Segment(view, kind)) for kind in Kind}
        usual = _usual_log_odds(model, settings, feature_rows)
        judged = iter(
            _Judged(pair, context, row, log_odds, before, thresholds[kind_of(pair.one, pair.other)])
            for pair, context, row, log_odds, before in zip(
                pairs, found, feature_rows, model.log_odds(feature_rows).tolist(), usual, strict=True
            )
        )
        return [None if one.other.fingerprint == item.fingerprint else next(judged) for one in candidates]

    def _compare(self, item: Item, candidates: Sequence[Candidate], settings: CollectionSettings) -> list[Comparison]:
        items = [item, *(one.other.item for one in candidates)]
        terms = [item_terms(one) for one in items]
        mine, *theirs = profiles(items, terms, self._statistics(item.collection), settings.words)
        return comparisons(
            mine, theirs, [one.similarity for one in candidates], [one.arrivals_apart for one in candidates]
        )


class _Judged:
    """A pair and its probability."""

    def __init__(
        self,
        pair: Comparison,
        context: Context,
        row: Floats,
        log_odds: float,
        usual_log_odds: float,
        thresholds: Thresholds,
    ) -> None:
        self.pair = pair
        self.context = context
        self.row = row
        self._log_odds = log_odds
        self._usual_log_odds = usual_log_odds
        self._thresholds = thresholds
        stated = _probability(log_odds)
        self._probability = thresholds.capped(stated) if pair.contested else stated
        self.band = thresholds.band(self._probability, pair.cosine, _probability(usual_log_odds))

    def verdict(self, found: tuple[Reason, ...]) -> PairVerdict:
        """The verdict with its reasons, if they were computed."""
        return PairVerdict(
            band=self.band,
            probability=round(self._probability, 4),
            similarity=self.pair.cosine,
            reasons=found,
            explanation=explanation(found) if found else "",
            contested=self.pair.contested,
        )

    def without(self, kind: str, weight: float) -> Band:
        """The band of the pair without one kind of evidence."""
        stated = _probability(self._log_odds - weight)
        contested = self.pair.contested and not self.pair.contested_only_by(kind)
        capped = self._thresholds.capped(stated) if contested else stated
        return self._thresholds.band(capped, self.pair.cosine, _probability(self._usual_log_odds - weight))


class _LastJudged(NamedTuple):
    """The last judged pairs, cached because the deciding pair is nearly always explained next."""

    item: Comparable
    candidates: Sequence[Candidate]
    settings: CollectionSettings
    judged: list[_Judged | None]


def _cosines_among(candidates: Sequence[Candidate]) -> Floats | None:
    """Cosines of candidates with each other, shape (n, n); ``None`` where a vector is missing."""
    vectors = [one.vector for one in candidates if one.vector is not None]
    return cosines_among(np.stack(vectors)) if len(vectors) == len(candidates) > 1 else None


def _usual_log_odds(model: PairModel, settings: CollectionSettings, rows: Floats) -> list[float]:
    """Log-odds by the model before any answer, where ``review`` holds what they reach; else negative infinity."""
    if settings.review_from is not None or model.review is None or not model.review.holds_usual:
        return [-inf] * len(rows)
    found: list[float] = default_model().log_odds(rows).tolist()
    return found


def _probability(log_odds: float) -> float:
    return 1.0 / (1.0 + exp(-max(min(log_odds, 30.0), -30.0)))


def _shipped(collection: str) -> PairModel:
    return default_model()


def _identical(candidate: Candidate) -> PairVerdict:
    return PairVerdict(band=Band.DUPLICATE, probability=1.0, similarity=candidate.similarity, reasons=())
