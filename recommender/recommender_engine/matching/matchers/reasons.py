"""Why two items are, or are not, the same thing: evidence by its weight, in sentences a person can act on."""

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
# Weighs less than this (log-odds): not worth a reader's time.
_WORTH_SAYING = 0.05

# What differs is never a reason for the two being one thing, also where the model gives it no weight.
_DIFFERENCES = ("_differ", "_differs")

_COLUMNS = {
    kind.name: {one.name: place for place, one in enumerate(TABLE) if one.evidence is kind} for kind in EVIDENCE
}
_TOLD = tuple([(kind.name, kind.tell) for kind in EVIDENCE if kind is not DISPUTE])


# The band that a pair would be in without one kind of evidence, by its name and what it adds to the log-odds.
Without = Callable[[str, float], Band]


def contributions(model: PairModel, rows: Floats) -> list[dict[str, float]]:
    """How far each kind of evidence moves the log-odds from where an ordinary pair of candidates would put them.

    Evidence of which the model reads nothing is left out.

    Args:
        model: that judged the pairs.
        rows: their features, shape (n, len(FEATURES)).
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
    """The evidence on a pair, strongest first, at most `MOST_REASONS`; what holds it back is always among them.

    Args:
        pair: what was compared.
        weights: `contributions`.
        without: the band without one kind of evidence, or with no contradiction of it; where it is another one than
            all evidence leads to, the reason says so.
        context: how the pair stands among the item's other candidates.
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
    """The evidence in one sentence: what speaks for the two being one thing, then what speaks against it."""
    against = [one.text for one in found if one.detail.get("log_odds", 0.0) < 0 or one.code.endswith(_DIFFERENCES)]
    speaks_for = [one.text for one in found if one.text not in against]
    if against and speaks_for:
        return f"{', '.join(speaks_for)}; but {', '.join(against)}"
    return ", ".join(speaks_for or against)


def _dispute_shared_out(pair: Comparison, weights: Mapping[str, float]) -> dict[str, float]:
    """The same wording with something else in it counts for what differs."""
    shares = dict(weights)
    dispute = shares.pop(DISPUTE.name, 0.0)
    kinds = [kind for kind in pair.disputed if pair.agreement(kind).contradicts] or [WORDS.name]
    for kind in kinds:
        shares[kind] = shares.get(kind, 0.0) + dispute / len(kinds)
    return shares


def only_meaning(verdict: PairVerdict) -> PairVerdict:
    """The verdict on a pair that nobody will act on, with what costs nothing to say."""
    similarity = verdict.similarity
    told = Reason(code="cosine_similarity", text=alike(similarity), detail={"similarity": round(similarity, 4)})
    return verdict.model_copy(update={"reasons": (told,), "explanation": told.text})
