"""How many items people are asked to look at: of those that are for review the likeliest, as far as the budget goes."""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.items import Band, PairVerdict, Reason
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Arrived, Collection, Verdict

BELOW_BUDGET = Reason(code="below_review_budget", text="below the review budget")

# So many items are remembered; then all counts are halved, so that what came long ago counts less and less.
REMEMBERED = 4096
# The first items of a collection need no budget: whoever tries a few sees what is for review.
FIRST = 20
# What is usual counts as so many items that came before the first one.
_USUAL = 300
# Where less room is left than this, an item must be the likelier for it: so there is room for the likeliest.
_ROOM = 5


class ReviewBudget:
    """Keeps the share of the items of a collection that are in ``review`` within its ``review_budget``.

    It goes by the items that came before, in the order of the stream: an item is in ``review`` if those that were for
    review and likelier, and itself, are no more than the budget of all items, and if the budget is not used up. Before
    a collection has told how likely its items are, it is what is usual that counts; where the budget is nearly used up,
    only an item that is far likelier than it asks is in ``review``. What is for review is counted without a budget too,
    so that one that is set later knows where to begin.

    Args:
        collections: which keep the counts, as part of the transaction.
    """

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    def arrived(self, collection: Collection, verdict: Verdict) -> Verdict:
        """The verdict on an item that arrives, within the budget; it is counted."""
        counts, pair = collection.arrived, verdict.pair
        if counts.items >= REMEMBERED:
            counts.halve()
        said = pair if pair is None else self.would_say(collection, pair)
        counts.items += 1
        if pair is not None and pair.band is Band.REVIEW:
            counts.add(pair.probability)
            counts.review += said is pair
        self._collections.touch(collection)
        return verdict if said is pair else replace(verdict, pair=said)

    def would_say(self, collection: Collection, pair: PairVerdict) -> PairVerdict:
        """What would be said of an item that arrives with this verdict; nothing is counted."""
        budget = collection.settings.review_budget
        if pair.band is not Band.REVIEW or budget is None or budget == 1.0:
            return pair
        return pair if has_place(budget, collection.arrived, pair.probability) else _below(pair)


def share_in_review(*collections: Collection) -> float:
    """Which share of the items that arrived of late in these collections are in ``review``, in [0, 1]."""
    items = sum(one.arrived.items for one in collections)
    return round(sum(one.arrived.review for one in collections) / items, 4) if items else 0.0


def has_place(budget: float, counts: Arrived, probability: float) -> bool:
    """Whether an item that is for review has a place there, by what arrived before it.

    Args:
        budget: share of the items that may be in ``review``, in (0, 1].
        counts: what became of the items that arrived before.
        probability: of the item, in [0, 1].
    """
    if counts.items < FIRST:
        return True
    room = budget * (counts.items + 1) - counts.review
    likelier = counts.likelier(probability) + _USUAL * _usually_likelier(probability)
    return room >= 1 and likelier + 1 <= budget * (counts.items + 1 + _USUAL) * min(1.0, room / _ROOM)


def _usually_likelier(probability: float) -> float:
    """Which share of items is for review and likelier: about the mean of the labelled streams (ADR 42)."""
    return 0.4 * max(0.95 - probability, 0.0)


def _below(pair: PairVerdict) -> PairVerdict:
    return pair.model_copy(
        update={
            "band": Band.SIMILAR,
            "reasons": (*pair.reasons, BELOW_BUDGET),
            "explanation": f"{pair.explanation}; {BELOW_BUDGET.text}" if pair.explanation else BELOW_BUDGET.text,
        }
    )
