"""Features of the embeddings: similarity, alone and relative to the other candidates of each side."""

from __future__ import annotations

from collections.abc import Iterator

from recommender_engine.matching.features.feature import Evidence, ReasonInput, WeighedReason
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context

_DEEPEST_RANK = 10


def cosine(pair: Comparison) -> float:
    """Cosine of the embeddings."""
    return pair.cosine


def margin(context: Context) -> float:
    """Cosine minus that of the best other candidate."""
    return context.margin


def lead(context: Context) -> float:
    """Cosine minus the mean of the best eight other candidates."""
    return context.lead


def rank(context: Context) -> float:
    """Number of other candidates that are closer to the item, at most ten."""
    return min(context.rank, _DEEPEST_RANK)


def their_margin(context: Context) -> float:
    """Cosine minus that of the candidate and its closest one among the other candidates."""
    return context.their_margin


def their_lead(context: Context) -> float:
    """Cosine minus the mean of the candidate's closest eight among the other candidates."""
    return context.their_lead


def their_rank(context: Context) -> float:
    """Number of other candidates to which the candidate is closer than to the item, at most ten."""
    return min(context.their_rank, _DEEPEST_RANK)


def alike(similarity: float) -> str:
    """The sentence for a cosine."""
    return f"the meaning is {max(similarity, 0.0):.0%} alike"


def _meaning(telling: ReasonInput) -> Iterator[WeighedReason]:
    similarity = telling.pair.cosine
    yield telling.said("cosine_similarity", alike(similarity), telling.weight, similarity=round(similarity, 4))


def _company(telling: ReasonInput) -> Iterator[WeighedReason]:
    """The reason about other items that the candidate is close to."""
    weight, closer = telling.weight, telling.context.their_rank
    if weight > 0 and closer == 0:
        yield telling.said("mutual_match", "it is closer to this one than to anything else nearby", weight)
    elif weight < 0 and closer > 0:
        count = int(closer)
        text = f"it is closer still to {count} other{'s' if count > 1 else ''} nearby"
        yield telling.said("common_topic", text, weight, closer=count)


MEANING = Evidence("meaning", _meaning)
COMPANY = Evidence("company", _company)
