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


def _meaning(inputs: ReasonInput) -> Iterator[WeighedReason]:
    similarity = inputs.pair.cosine
    yield inputs.reason("cosine_similarity", alike(similarity), inputs.weight, similarity=round(similarity, 4))


def _company(inputs: ReasonInput) -> Iterator[WeighedReason]:
    """The reason about other items that the candidate is close to."""
    weight, closer = inputs.weight, inputs.context.their_rank
    if weight > 0 and closer == 0:
        yield inputs.reason("mutual_match", "it is closer to this one than to anything else nearby", weight)
    elif weight < 0 and closer > 0:
        count = int(closer)
        text = f"it is closer still to {count} other{'s' if count > 1 else ''} nearby"
        yield inputs.reason("common_topic", text, weight, closer=count)


MEANING = Evidence("meaning", _meaning)
COMPANY = Evidence("company", _company)
