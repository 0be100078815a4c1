"""Pairs that want a person's answer, those first on which it is worth most. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, Reason
from recommender_engine.items.cursors import cursor, place_of
from recommender_engine.items.values import Value
from recommender_engine.matching import PairModel, stated_now
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.queries.listed_items import ListedItem, ListedItems
from recommender_engine.pipeline.queries.paging import checked_limit, page_of
from recommender_engine.store import CODES, Collection, ListedRow, Place, SqliteStore

MOST_PAIRS = 100
"""Pairs of a page at most."""

MOST_COUNTED = 1000
"""Items of a group that are counted."""

LONGEST_SHOWN = 8000
"""Characters of each text."""

_ORDERS = ("worth", "probability", "arrival")
_REVIEW = (CODES[Band.REVIEW],)


class ReviewItem(ListedItem):
    """One of the two. Reasons say where in what is compared of it the evidence stands.

    Attributes:
        group_size: items of its group, itself among them; 1,000 stands for more too.
    """

    group_size: int


class ReviewPair(Value):
    """Two items of which a person is to say whether they are the same thing.

    ``same`` merges their groups: every item of the group of ``item`` will then repeat the earliest of the other group.

    Attributes:
        item: in ``review``; its probability is the one that was stated.
        other: the earlier one that it was matched with.
        probability: of the pair on the scale of the present model, in [0, 1]: the stated one, moved as far as the
            answers since have moved probabilities on the mean.
        reasons: of the verdict.
        worth: of an answer, in [0, 1]: the probability on the scale of before any answer. The likeliest pair is worth
            most: answers from the top are an even sample of what a band would flag.
    """

    item: ReviewItem
    other: ReviewItem
    probability: float
    reasons: tuple[Reason, ...]
    worth: float


class ReviewPage(Value):
    """Some pairs of a collection.

    Attributes:
        pairs: in the order asked for.
        next: the ``after`` of the next page; ``None`` on the last one.
    """

    pairs: tuple[ReviewPair, ...]
    next: str | None


class ReviewQueue:
    """Lists items in ``review``, each with its matched item, where no answer settles the pair."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        current_verdicts: CurrentVerdicts,
        answers: Answers,
        model_of: Callable[[str], PairModel],
    ) -> None:
        self._store = store
        self._collections = collections
        self._answers = answers
        self._model_of = model_of
        self._listed = ListedItems(store, current_verdicts)

    def page(self, name: str, order: str, after: str | None, limit: int) -> ReviewPage | None:
        """A page of pairs; see ``Recommender.review``."""
        most = checked_limit(limit, MOST_PAIRS)
        if order not in _ORDERS:
            raise InvalidCommand("invalid_value", f"order must be one of {', '.join(_ORDERS)}", "order")
        question = f"review {order}"
        start = Place.beginning(descending=True)
        if after is not None:
            start = Place(*place_of(after, question, ((int, float), int)))
        collection = self._collections.find(name)
        if collection is None:
            return None
        pairs, last = page_of(
            most, start, self._order(collection, order), lambda places: self._pairs(collection, places)
        )
        return ReviewPage(pairs=tuple(pairs), next=None if last is None else cursor(question, last))

    def _order(self, collection: Collection, order: str) -> Callable[[Place, int], list[Place]]:
        listing, number = self._store.listing, collection.id
        if order == "worth":
            return lambda after, limit: listing.by_worth(number, after, limit)
        read = listing.by_arrival if order == "arrival" else listing.by_probability
        return lambda after, limit: read(number, _REVIEW, after, limit, descending=True)

    def _pairs(self, collection: Collection, places: Sequence[Place]) -> dict[int, tuple[ReviewPair, int]]:
        rows = self._store.listing.rows([place.seq for place in places])
        others = self._store.listing.rows({row.matched_seq for row in rows.values() if row.matched_seq is not None})
        open_ = self._open(collection, [row for row in rows.values() if row.matched_seq in others], others)
        items = self._listed.of(collection, open_, LONGEST_SHOWN)
        shown = self._listed.of(collection, [others[row.matched_seq or 0] for row in open_], LONGEST_SHOWN)
        verdicts = self._store.items.verdicts([row.seq for row in open_])
        groups = {one.group for one in (*items.values(), *shown.values())}
        sizes = self._store.groups.sizes(groups, MOST_COUNTED, collection.hidden_ms)
        return {
            row.seq: (
                ReviewPair(
                    item=_counted(items[row.seq], sizes),
                    other=_counted(shown[other], sizes),
                    probability=self._now(collection, row),
                    reasons=verdicts[row.seq].reasons,
                    worth=row.worth or 0.0,
                ),
                len(row.content) + len(others[other].content),
            )
            for row in open_
            if (other := row.matched_seq or 0) in shown and row.seq in items and items[row.seq].band is Band.REVIEW
        }

    def _open(self, collection: Collection, rows: list[ListedRow], others: dict[int, ListedRow]) -> list[ListedRow]:
        """Those of whose pair no answer tells."""
        if not self._answers.count(collection.id):
            return rows
        settled = self._answers.settled(collection.id, [(row.id, others[row.matched_seq or 0].id) for row in rows])
        return [row for row, known in zip(rows, settled, strict=True) if not known]

    def _now(self, collection: Collection, row: ListedRow) -> float:
        if row.worth is None or not collection.settings.compares_texts:
            return row.stated
        return stated_now(self._model_of(collection.name), row.worth)


def _counted(item: ListedItem, sizes: Mapping[str, int]) -> ReviewItem:
    return ReviewItem(**item.model_dump(), group_size=sizes[item.group])
