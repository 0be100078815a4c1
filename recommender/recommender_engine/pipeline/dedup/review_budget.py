"""The review budget: of the items that would be in ``review`` only the likeliest are, up to a share of all items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recommender_engine.items import Band, PairVerdict, Reason
from recommender_engine.matching import PairModel, review_rank
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Arrived, Collection, Verdict

BELOW_BUDGET = Reason(code="below_review_budget", text="below the review budget")

# After this many items all counts are halved, so that older items count less.
REMEMBERED = 4096
# The budget does not limit the first items of a collection: a short trial shows all that is for review.
FIRST = 20
# The prior of the distribution of probabilities counts like this many items before the first.
_USUAL = 300
# Where less room is left than this, an item must be likelier: room is kept for the likeliest.
_ROOM = 5


class ReviewBudget:
    """Keeps the share of the items of a collection that are in ``review`` within its ``review_budget``.

    Only items that came before count, in the order of the stream: an item is in ``review`` if it and the likelier ones
    that were for review are no more than the budget of all items, and if the budget is not used up. At the beginning
    the usual distribution of probabilities counts; where the budget is nearly used up, only items that are much
    likelier are in ``review``. What is for review is counted without a budget too, for one that is set later.

    Items that arrived before and after an answer are counted on one scale (`review_rank`).

    Args:
        collections: which keep the counts, as part of the transaction.
        model_of: the model of a collection, by its name.
    """

    def __init__(self, collections: Collections, model_of: Callable[[str], PairModel]) -> None:
        self._collections = collections
        self._model_of = model_of

    def arrived(self, collection: Collection, verdict: Verdict) -> Verdict:
        """The verdict on an item that arrives, within the budget; it is counted."""
        counts, pair = collection.arrived, verdict.pair
        if counts.items >= REMEMBERED:
            counts.halve()
        limited = pair if pair is None else self.limited_to_budget(collection, pair)
        counts.items += 1
        if pair is not None and pair.band is Band.REVIEW:
            counts.add(self._rank(collection, pair))
            counts.review += limited is pair
        self._collections.touch(collection)
        return verdict if limited is pair else replace(verdict, pair=limited)

    def limited_to_budget(self, collection: Collection, pair: PairVerdict) -> PairVerdict:
        """The verdict within the budget on an item that would arrive with this one; nothing is counted."""
        budget = collection.settings.review_budget
        if pair.band is not Band.REVIEW or budget is None or budget == 1.0:
            return pair
        return pair if fits(budget, collection.arrived, self._rank(collection, pair)) else _below(pair)

    def rank(self, collection: int, probability: float) -> float:
        """A probability that is stated now, on the scale on which pairs from before and after answers compare.

        Args:
            collection: its number.
            probability: in [0, 1].
        """
        found = self._collections.by_id(collection)
        if found is None or not found.settings.compares_texts:
            return probability
        return review_rank(self._model_of(found.name), probability)

    def _rank(self, collection: Collection, pair: PairVerdict) -> float:
        return self.rank(collection.id, pair.probability)


def share_in_review(*collections: Collection) -> float:
    """Share of ``review`` among the recent items of these collections, in [0, 1]."""
    items = sum(one.arrived.items for one in collections)
    return round(sum(one.arrived.review for one in collections) / items, 4) if items else 0.0


def fits(budget: float, counts: Arrived, probability: float) -> bool:
    """Whether an item that is for review fits into the budget, by what arrived before it.

    Args:
        budget: share of the items that may be in ``review``, in (0, 1].
        counts: of the items that arrived before.
        probability: of the item, in [0, 1], on the scale of the counts.
    """
    if counts.items < FIRST:
        return True
    room = budget * (counts.items + 1) - counts.review
    likelier = counts.likelier(probability) + _USUAL * _usually_likelier(probability)
    return room >= 1 and likelier + 1 <= budget * (counts.items + 1 + _USUAL) * min(1.0, room / _ROOM)


def _usually_likelier(probability: float) -> float:
    """Share of items that are for review and likelier: about the mean of the labelled streams (ADR 42)."""
    return 0.4 * max(0.95 - probability, 0.0)


def _below(pair: PairVerdict) -> PairVerdict:
    return pair.model_copy(
        update={
            "band": Band.SIMILAR,
            "reasons": (*pair.reasons, BELOW_BUDGET),
            "explanation": f"{pair.explanation}; {BELOW_BUDGET.text}" if pair.explanation else BELOW_BUDGET.text,
        }
    )
