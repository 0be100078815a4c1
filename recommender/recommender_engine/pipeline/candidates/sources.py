"""Where candidates come from besides the vectors: items with the same text, and items that share rare words.

A source is a class here, and a line in `CandidateSearch`.
"""

from __future__ import annotations

from typing import Protocol

from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.policy_index import PolicyIndex
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.vectors.nearest_points import Chooser
from recommender_engine.policy import restricts
from recommender_engine.store import Collection, Member, SqliteStore

# How many items that share the rarest words are judged.
SHARING_WORDS = 3


class CandidateSource(Protocol):
    """Finds items that may be the same thing, whatever their vectors are."""

    def find(self, collection: Collection, subject: Subject) -> list[Member]:
        """Those that are to be judged, as far as the policy of the collection allows them."""


class SameText:
    """The earliest item with the same text; none where the collection does not compare texts."""

    def __init__(self, store: SqliteStore, compared_texts: ComparedTexts, policy_index: PolicyIndex) -> None:
        self._store = store
        self._compared_texts = compared_texts
        self._policy_index = policy_index

    def find(self, collection: Collection, subject: Subject) -> list[Member]:
        """At most one."""
        if not collection.settings.compares_texts:
            return []
        if restricts(collection.settings):
            twin = self._policy_index.twin(collection, subject)
        else:
            twin = self._store.items.twin(collection.id, subject.fingerprint, collection.hidden_ms)
            twin = twin if twin is not None and subject.comes_after(twin) else None
        return [] if twin is None or not self._compared_texts.is_current(collection, twin.seq) else [twin]


class SharedWords:
    """Items that share the rarest words."""

    def __init__(self, store: SqliteStore, policy_index: PolicyIndex, words: Words) -> None:
        self._store = store
        self._policy_index = policy_index
        self._words = words

    def find(self, collection: Collection, subject: Subject) -> list[Member]:
        """At most ``SHARING_WORDS``."""
        if restricts(collection.settings):
            usable: Chooser | None = self._policy_index.items_chooser(collection, subject)
        else:
            usable = self._visible(collection)
        found = self._words.search(collection.id, subject.item, SHARING_WORDS, usable)
        return self._store.items.by_number(found) if found else []

    def _visible(self, collection: Collection) -> Chooser | None:
        """Chooses the arrival numbers of items that are to be seen; ``None`` where all are."""
        hidden_ms = collection.hidden_ms
        return None if hidden_ms is None else lambda seqs: self._store.items.visible(seqs, hidden_ms)
