"""Items that are asked about: stored ones, and new ones that are embedded for the question."""

from __future__ import annotations

from typing import NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Item, ItemKey
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.vectors.embedding_step import Embedded, EmbeddingStep, says_the_same
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem


class AskedItem(NamedTuple):
    """An item that is asked about.

    Attributes:
        subject: the item, with its arrival number if it is stored.
        member: the stored item, if it is one.
    """

    subject: Subject
    member: Member | None = None

    @property
    def seq(self) -> float:
        """An item that is not stored comes after all that are."""
        return float("inf") if self.member is None else self.member.seq


class AskedItems:
    """Reads items that are stored, and embeds those that are not."""

    def __init__(
        self, store: SqliteStore, collections: Collections, embedding: EmbeddingStep, compared_texts: ComparedTexts
    ) -> None:
        self._store = store
        self._collections = collections
        self._embedding = embedding
        self._compared_texts = compared_texts

    def of(self, asked: Item | ItemKey, collection: Collection) -> AskedItem:
        """An item in a collection: the stored one if it says the same.

        Raises:
            InvalidCommand: it is named by its key and not there; its text is empty or its vector has the wrong
                dimension.
        """
        row = self._store.items.get(collection.id, asked.id, collection.hidden_ms)
        if not isinstance(asked, Item):
            if row is None:
                raise InvalidCommand("invalid_value", f"there is no item {asked.id!r} in {collection.name!r}", "id")
            return self._stored(row, collection) or self._new(self.embed(row.item, collection.name))
        embedded = self.embed(asked, collection.name)
        if row is not None and says_the_same(row, embedded, self._store):
            return self._stored(row, collection) or self._new(embedded)
        return self._new(embedded)

    def _stored(self, row: StoredItem, collection: Collection) -> AskedItem | None:
        """A stored item, unless another text of it would be compared now."""
        if not self._compared_texts.is_current(collection, row.seq):
            return None
        vector = self._store.vectors.get(row.vector)
        subject = Subject(row.compared, row.fingerprint, vector, row.at_ms, row.seq)
        return AskedItem(subject, Member(row.seq, row.item.id, row.point, row.group))

    def _new(self, embedded: Embedded) -> AskedItem:
        return AskedItem(Subject(embedded.compared, embedded.fingerprint, embedded.vector, self._store.clock_ms))

    def embed(self, item: Item, collection: str) -> Embedded:
        """An item as it would arrive in a collection.

        Raises:
            InvalidCommand: its text is empty or its vector has the wrong dimension.
        """
        item = item.model_copy(update={"collection": collection})
        return self._embedding.embed_question(item, self._collections.settings(collection))
