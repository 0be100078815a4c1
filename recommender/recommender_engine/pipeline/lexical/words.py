"""The terms of each collection: how common they are, and which items share rare ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from recommender_engine.items import Item
from recommender_engine.matching import TermStatistics, cached_bytes, forget_texts, item_terms
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.lexical.counts import Counts, numbers_kept
from recommender_engine.pipeline.lexical.postings import Postings
from recommender_engine.pipeline.lexical.rarest import Keep, sharing_rarest
from recommender_engine.pipeline.lexical.shared import NOTHING_SHARED, Numbers, SharedWords, shared_words
from recommender_engine.store import SqliteStore

# Counts are rebuilt from the items when texts are split into terms in another way.
_VERSION = "1"
_NOTE = "terms version"
_BLOCK = 1000


class Words:
    """Counts terms as items come and go, and searches by them; what has changed is saved with the batch."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections
        self._counts: dict[int, Counts] = {}
        self._kept = numbers_kept()
        self._postings = Postings(store)
        self._changed: set[int] = set()  # collections whose counts the batch has changed
        self._shrunk: set[int] = set()  # collections that lost items since texts were last forgotten
        store.on_rollback(self._reload)
        store.on_retire(self._retire)
        if store.note(_NOTE) != _VERSION:
            self._rebuild()

    def statistics(self, collection: str) -> TermStatistics:
        """Document frequencies of a collection, by its name; none if it does not exist."""
        found = self._collections.find(collection)
        return Counts(Counter()) if found is None else self._of(found.id)

    def supposed(self, collection: int, item: Item) -> AbstractContextManager[None]:
        """Count the terms of an item too while the context lasts; it is not found by its words."""
        return self._of(collection).supposed(item_terms(item).distinct) if self._reads(collection) else nullcontext()

    def add(self, collection: int, seq: int, item: Item) -> None:
        """Add an item; nothing happens where the collection does not compare texts."""
        if not self._reads(collection):
            return
        terms, counts = item_terms(item).distinct, self._of(collection)
        first = [terms[position] for position in np.flatnonzero(counts.frequencies(terms) == 0).tolist()]
        counts.change(terms, 1)
        self._changed.add(collection)
        self._postings.add(collection, seq, terms, first)

    def remove(self, collection: int, seq: int, item: Item) -> None:
        """Remove an item, with the text with which it was added."""
        if not self._reads(collection):
            return
        terms = item_terms(item).distinct
        self._shrunk.add(collection)
        self._changed.add(collection)
        self._of(collection).change(terms, -1)
        self._postings.remove(collection, seq, terms)

    def discard(self, collection: int, seq: int, item: Item) -> None:
        """Remove an item of a collection that has left, of which no frequencies are kept."""
        self._shrunk.add(collection)
        self._postings.remove(collection, seq, item_terms(item).distinct)

    def forget_texts(self) -> None:
        """Drop texts from memory: some were erased, now or after their items were removed.

        Nothing is done where no item was removed since the last time.
        """
        if not self._shrunk:
            return
        forget_texts()
        self._store.words.forget_terms()
        self._kept.clear()
        for collection in self._shrunk:
            if (counts := self._counts.get(collection)) is not None:
                counts.forget_unused()
        self._shrunk.clear()

    def kept_bytes(self) -> dict[str, int]:
        """Estimated bytes of memory of cached texts and of terms."""
        terms = self._kept.weight + self._postings.kept_bytes + self._store.words.kept_bytes
        return {"texts": cached_bytes(), "terms": terms}

    def search(self, collection: int, item: Item, limit: int, keep: Keep | None = None) -> list[int]:
        """Arrival numbers of the items that share the most of the item's rarest terms, by summed rarity, best first.

        Args:
            collection: its number.
            item: whose terms.
            limit: how many at most.
            keep: chooses of some numbers those that count, in their order; by default all do.
        """
        if not self._reads(collection):
            return []
        return sharing_rarest(
            item_terms(item), self._of(collection), lambda term: self._postings.having(collection, term), limit, keep
        )

    def shared(self, collection: int, item: Item, keep: Callable[[Numbers], Numbers]) -> SharedWords:
        """The items that share words with a question; none where the collection does not compare texts.

        Args:
            collection: its number.
            item: the question.
            keep: chooses of some arrival numbers, ascending, those that count.
        """
        if not self._reads(collection):
            return NOTHING_SHARED
        return shared_words(
            item_terms(item), self._of(collection), lambda term: self._postings.having(collection, term), keep
        )

    def having_all(
        self, collection: int, terms: Sequence[str], after: int, limit: int, *, descending: bool
    ) -> list[int]:
        """Arrival numbers of the items that have all of some terms, behind a number, in the order of arrival."""
        return self._store.words.having_all(collection, terms, after, limit, descending=descending)

    def flush(self) -> None:
        """Write what has changed; part of the running transaction."""
        for collection in sorted(self._changed):
            self._store.words.change_counts(collection, self._counts[collection].changes)
            self._counts[collection].flushed()
        self._changed.clear()

    def _reload(self) -> None:
        self._counts.clear()
        self._changed.clear()
        self._kept.clear()

    def _retire(self, collection: int) -> None:
        self._counts.pop(collection, None)
        self._changed.discard(collection)
        self._postings.clear()
        self._shrunk.add(collection)

    def _reads(self, collection: int) -> bool:
        known = self._collections.by_id(collection)
        return known is not None and known.settings.compares_texts

    def _of(self, collection: int) -> Counts:
        found = self._counts.get(collection)
        if found is None:
            found = self._counts[collection] = Counts(self._store.words.counts(collection), self._kept)
        return found

    def _rebuild(self) -> None:
        with self._store.transaction():
            self._store.words.clear()
            for collection in self._collections.all():
                self._counts[collection.id] = Counts(Counter(), self._kept)
                last = 0
                while rows := self._store.items.after(collection.id, last, _BLOCK):
                    for row in rows:
                        self.add(collection.id, row.seq, row.compared)
                    last = rows[-1].seq
            self.flush()
            self._store.set_note(_NOTE, _VERSION)
