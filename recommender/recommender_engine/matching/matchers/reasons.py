"""Reasons of a verdict: evidence with its weight and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recommender_engine.items import Band, PairVerdict, Reason
from recommender_engine.matching.features.feature import ReasonInput, WeighedReason
from recommender_engine.matching.features.meaning import alike
from recommender_engine.matching.features.table import EVIDENCE, TABLE
from recommender_engine.matching.features.words import DISPUTE, WORDS
from recommender_engine.matching.model.pair_model import PairModel
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.text.spans import PairTexts
from recommender_engine.matching.trees import Floats

MOST_REASONS = 4
# Evidence with a lower weight (log-odds) is left out.
_LEAST_WEIGHT = 0.05

# A difference is never a reason for a duplicate, even if the model gives it no weight.
_DIFFERENCES = ("_differ", "_differs")

_COLUMNS = {
    kind.name: {one.name: index for index, one in enumerate(TABLE) if one.evidence is kind} for kind in EVIDENCE
}
_EVIDENCE = tuple([(kind.name, kind.reasons_for) for kind in EVIDENCE if kind is not DISPUTE])


# The band of a pair without one kind of evidence, by the name of the evidence and its share of the log-odds.
Without = Callable[[str, float], Band]


def contributions(model: PairModel, rows: Floats) -> list[dict[str, float]]:
    """The contribution of each kind of evidence to the log-odds, relative to a typical pair of candidates.

    Evidence without a feature in the model is left out.

    Args:
        model: the model that judged the pairs.
        rows: features of the pairs, shape (n, len(FEATURES)).
    """
    known = set(model.features)
    read = {name: list(columns.values()) for name, columns in _COLUMNS.items() if not known.isdisjoint(columns)}
    count = len(read) + 1
    varied = np.repeat(rows, count, axis=0)
    typical = model.typical()
    for number, columns in enumerate(read.values()):
        varied[number::count, columns] = typical[columns]
    log_odds = model.log_odds(varied).reshape(len(rows), count)
    return [dict(zip(read, moved, strict=True)) for moved in (log_odds[:, -1:] - log_odds[:, :-1]).tolist()]


def reasons(
    pair: Comparison, weights: Mapping[str, float], without: Without | None = None, context: Context | None = None
) -> tuple[Reason, ...]:
    """The reasons for a pair, strongest first, at most `MOST_REASONS`; those that hold it back are always included.

    Args:
        pair: the comparison.
        weights: see `contributions`.
        without: the band without one kind of evidence, or without its contradiction; where it differs from the band of
            the pair, the reason says so.
        context: the pair relative to the item's other candidates.
    """
    shares = _with_dispute_spread(pair, weights)
    texts, others = PairTexts(pair.one.terms.text, pair.other.terms.text), context or Context()
    found = [
        one
        for name, reasons_for in _EVIDENCE
        for one in reasons_for(ReasonInput(name, shares.get(name, 0.0), pair, others, texts))
    ]
    found.sort(key=lambda one: -abs(one.weight))
    relevant = [one for one in found if abs(one.weight) >= _LEAST_WEIGHT or one.prevents_duplicate] or found[:1]
    first = sorted(relevant, key=lambda one: not one.prevents_duplicate)[:MOST_REASONS]
    given = [one for one in relevant if one in first]
    if without is None:
        return tuple([one.reason for one in given])
    band = without("", 0.0)
    return tuple([_with_band_without(one, band, without(one.evidence, shares.get(one.evidence, 0.0))) for one in given])


def _with_band_without(weighed: WeighedReason, band: Band, band_without: Band) -> Reason:
    reason = weighed.reason
    if band_without is band:
        return reason
    return reason.model_copy(update={"detail": {**reason.detail, "without": band_without.value}})


def explanation(found: Sequence[Reason]) -> str:
    """The reasons in one sentence: first those for a duplicate, then those against."""
    against = [one.text for one in found if one.detail.get("log_odds", 0.0) < 0 or one.code.endswith(_DIFFERENCES)]
    supporting = [one.text for one in found if one.text not in against]
    if against and supporting:
        return f"{', '.join(supporting)}; but {', '.join(against)}"
    return ", ".join(supporting or against)


def _with_dispute_spread(pair: Comparison, weights: Mapping[str, float]) -> dict[str, float]:
    """The weights, with that of a changed value in the same wording given to the kinds of values that differ."""
    shares = dict(weights)
    dispute = shares.pop(DISPUTE.name, 0.0)
    kinds = [kind for kind in pair.disputed if pair.agreement(kind).contradicts] or [WORDS.name]
    for kind in kinds:
        shares[kind] = shares.get(kind, 0.0) + dispute / len(kinds)
    return shares


def only_meaning(verdict: PairVerdict) -> PairVerdict:
    """The verdict on a pair that needs no action, with the reason that needs no further computation."""
    similarity = verdict.similarity
    reason = Reason(code="cosine_similarity", text=alike(similarity), detail={"similarity": round(similarity, 4)})
    return verdict.model_copy(update={"reasons": (reason,), "explanation": reason.text})
