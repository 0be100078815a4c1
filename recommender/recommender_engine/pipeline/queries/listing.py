"""Items of a collection, and of a group, page by page. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band
from recommender_engine.items.cursors import cursor, place_of
from recommender_engine.items.values import Value
from recommender_engine.matching.text.terms import fold, terms_of
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.queries.listed_items import ListedItem, ListedItems
from recommender_engine.pipeline.queries.paging import checked_limit, page_of
from recommender_engine.store import CODES, Collection, ListedRow, Place, SqliteStore
from recommender_engine.store.items import item_of

MOST_LISTED = 200
"""Items of a page at most."""

# Of the items that have the words of a filter so many are put in order at once, the latest first.
_BLOCK = 1000
_LONGEST_FILTER = 1000

Order = Literal["arrival", "probability"]
_ORDERS = ("arrival", "probability")


class ItemPage(Value):
    """Some items of a collection.

    Attributes:
        items: in the order asked for.
        next: the ``after`` of the next page; ``None`` on the last one.
    """

    items: tuple[ListedItem, ...]
    next: str | None


class GroupPage(Value):
    """Some members of a group.

    Attributes:
        group: its id.
        canonical: id of its canonical item.
        size: how many members it has.
        members: in the order of arrival.
        next: the ``after`` of the next page; ``None`` on the last one.
    """

    group: str
    canonical: str
    size: int
    members: tuple[ListedItem, ...]
    next: str | None


class _Sorting(NamedTuple):
    order: Order
    descending: bool

    @property
    def question(self) -> str:
        return f"list {self.order} {'down' if self.descending else 'up'}"


class Listing:
    """Lists items in an order that an index has."""

    def __init__(
        self, store: SqliteStore, collections: Collections, current_verdicts: CurrentVerdicts, words: Words
    ) -> None:
        self._store = store
        self._collections = collections
        self._words = words
        self._listed = ListedItems(store, current_verdicts)

    def items(
        self,
        collection: str,
        bands: Sequence[str] | None,
        order: str,
        *,
        descending: bool,
        after: str | None,
        limit: int,
        text: str | None,
    ) -> ItemPage | None:
        """A page of items; see ``Recommender.list_items``."""
        chosen, sorting = _codes(bands), _Sorting(_order(order), bool(descending))
        most, words = checked_limit(limit, MOST_LISTED), None if text is None else _words_of(text)
        found = self._collections.find(collection)
        if found is None:
            return None
        if words is not None and found.settings.compares_texts and sorting.order == "probability":
            return self._by_probability_with_words(found, chosen, sorting, after, most, words)
        question = sorting.question
        start = _place(after, question, descending=sorting.descending)
        if words is not None and found.settings.compares_texts:
            items, last = page_of(
                most,
                start,
                lambda place, step: [
                    Place(0.0, seq)
                    for seq in self._words.having_all(found.id, words, place.seq, step, descending=sorting.descending)
                ],
                lambda places: self._shown(found, places, chosen),
            )
        else:
            listing = self._store.listing
            read = listing.by_arrival if sorting.order == "arrival" else listing.by_probability
            items, last = page_of(
                most,
                start,
                lambda place, step: read(found.id, chosen, place, step, descending=sorting.descending),
                lambda places: self._shown(found, places, chosen, words or ()),
            )
        return ItemPage(items=tuple(items), next=None if last is None else cursor(question, last))

    def group(self, collection: str, item_id: str, after: str | None, limit: int) -> GroupPage | None:
        """A page of the group of an item; see ``Recommender.group``."""
        most = checked_limit(limit, MOST_LISTED)
        found = self._collections.find(collection)
        stored = None if found is None else self._store.items.get(found.id, item_id, found.hidden_ms)
        if found is None or stored is None:
            return None
        group, hidden_ms = stored.group, found.hidden_ms
        start = _place(after, "group", descending=False)
        members, last = page_of(
            most,
            start,
            lambda place, step: self._store.listing.of_group(group, place, step),
            lambda places: self._shown(found, places, tuple(CODES.values())),
        )
        return GroupPage(
            group=group,
            canonical=self._store.groups.canonical([group], found.settings.canonical, hidden_ms)[group],
            size=self._store.groups.size(group, hidden_ms),
            members=tuple(members),
            next=None if last is None else cursor("group", last),
        )

    def _by_probability_with_words(
        self,
        collection: Collection,
        bands: Sequence[int],
        sorting: _Sorting,
        after: str | None,
        limit: int,
        words: Sequence[str],
    ) -> ItemPage:
        """Of the latest thousand items that have the words, then of the next, each in order of probability."""
        question = f"{sorting.question} words"
        newest, last = 2**63 - 1, Place.beginning(descending=sorting.descending)
        if after is not None:
            before, *place = place_of(after, question, (int, (int, float), int))
            newest, last = before, Place(*place)
        block = self._words.having_all(collection.id, words, newest, _BLOCK, descending=True)
        standing = sorted(
            [place for place, band in self._store.listing.standing(block) if band in bands], reverse=sorting.descending
        )
        behind = [place for place in standing if (place < last if sorting.descending else place > last)]
        items, left = page_of(
            limit,
            last,
            lambda place, step: behind[behind.index(place) + 1 if place in behind else 0 :][:step],
            lambda places: self._shown(collection, places, bands),
        )
        following = None
        if left is not None:
            following = cursor(question, (newest, *left))
        elif len(block) == _BLOCK:
            following = cursor(question, (block[-1], *Place.beginning(descending=sorting.descending)))
        return ItemPage(items=tuple(items), next=following)

    def _shown(
        self, collection: Collection, places: Sequence[Place], bands: Sequence[int], words: Sequence[str] = ()
    ) -> dict[int, tuple[ListedItem, int]]:
        rows = self._store.listing.rows([place.seq for place in places])
        having = [row for row in rows.values() if row.band in bands and _has(row, words)]
        return {
            seq: (item, len(rows[seq].content))
            for seq, item in self._listed.of(collection, having).items()
            if CODES[item.band] in bands
        }


def _codes(bands: Sequence[str] | None) -> tuple[int, ...]:
    if bands is None:
        return tuple(CODES.values())
    known = [band.value for band in Band]
    if isinstance(bands, str) or not isinstance(bands, Sequence) or not bands or any(one not in known for one in bands):
        raise InvalidCommand("invalid_value", f"bands must be a list of {', '.join(known)}", "bands")
    return tuple(sorted({CODES[Band(one)] for one in bands}))


def _order(order: str) -> Order:
    if order not in _ORDERS:
        raise InvalidCommand("invalid_value", f"order must be one of {', '.join(_ORDERS)}", "order")
    return order  # type: ignore[return-value]


def _words_of(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or len(text) > _LONGEST_FILTER:
        raise InvalidCommand("invalid_value", f"text must be a text of at most {_LONGEST_FILTER} characters", "text")
    words = tuple(terms_of(text).counts)
    if not words:
        raise InvalidCommand("invalid_value", "text must have a word or a number", "text")
    return words


def _has(row: ListedRow, words: Sequence[str]) -> bool:
    """Whether an item of a collection without an index of words has those of a filter, or longer ones."""
    said = fold(item_of(row.id, "", row.content, "{}").content) if words else ""
    return all(word in said for word in words)


def _place(after: str | None, question: str, *, descending: bool) -> Place:
    if after is None:
        return Place.beginning(descending=descending)
    return Place(*place_of(after, question, ((int, float), int)))
