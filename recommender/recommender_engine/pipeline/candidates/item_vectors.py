"""The vectors of stored items, by the present rules of what is compared."""

from __future__ import annotations

from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep, Vector
from recommender_engine.store import Collection, SqliteStore, StoredItem


class ItemVectors:
    """Reads the vectors of items, and embeds those that wait to be embedded again."""

    def __init__(self, store: SqliteStore, embedding: EmbeddingStep, compared_texts: ComparedTexts) -> None:
        self._store = store
        self._embedding = embedding
        self._compared_texts = compared_texts

    def of(self, collection: Collection, row: StoredItem) -> Vector:
        """The vector of a stored item; float32, shape (dimension,), unit length."""
        if self._compared_texts.is_current(collection, row.seq):
            return self._store.vectors.get(row.vector)
        return self._embedding.embed_question(row.item, collection.settings).vector
