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
from recommender_engine.matching.text.spans import Texts
from recommender_engine.matching.trees import Floats

MOST_REASONS = 4
# Evidence with a lower weight (log-odds) is left out.
_WORTH_SAYING = 0.05

# A difference is never a reason for a duplicate, even if the model gives it no weight.
_DIFFERENCES = ("_differ", "_differs")

_COLUMNS = {
    kind.name: {one.name: place for place, one in enumerate(TABLE) if one.evidence is kind} for kind in EVIDENCE
}
_TOLD = tuple([(kind.name, kind.tell) for kind in EVIDENCE if kind is not DISPUTE])


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
    shares = _dispute_shared_out(pair, weights)
    texts, beside = Texts(pair.one.said.text, pair.other.said.text), context or Context()
    said = [one for name, tell in _TOLD for one in tell(ReasonInput(name, shares.get(name, 0.0), pair, beside, texts))]
    said.sort(key=lambda one: -abs(one.weight))
    telling = [one for one in said if abs(one.weight) >= _WORTH_SAYING or one.holds_back] or said[:1]
    first = sorted(telling, key=lambda one: not one.holds_back)[:MOST_REASONS]
    told = [one for one in telling if one in first]
    if without is None:
        return tuple([one.reason for one in told])
    band = without("", 0.0)
    return tuple([_with_turn(one, band, without(one.evidence, shares.get(one.evidence, 0.0))) for one in told])


def _with_turn(said: WeighedReason, band: Band, otherwise: Band) -> Reason:
    reason = said.reason
    if otherwise is band:
        return reason
    return reason.model_copy(update={"detail": {**reason.detail, "without": otherwise.value}})


def explanation(found: Sequence[Reason]) -> str:
    """The reasons in one sentence: first those for a duplicate, then those against."""
    against = [one.text for one in found if one.detail.get("log_odds", 0.0) < 0 or one.code.endswith(_DIFFERENCES)]
    speaks_for = [one.text for one in found if one.text not in against]
    if against and speaks_for:
        return f"{', '.join(speaks_for)}; but {', '.join(against)}"
    return ", ".join(speaks_for or against)


def _dispute_shared_out(pair: Comparison, weights: Mapping[str, float]) -> dict[str, float]:
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
    told = Reason(code="cosine_similarity", text=alike(similarity), detail={"similarity": round(similarity, 4)})
    return verdict.model_copy(update={"reasons": (told,), "explanation": told.text})
