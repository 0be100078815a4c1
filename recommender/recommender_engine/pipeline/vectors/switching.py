"""The switch of a collection from its live model to its second one, in one transaction.

Every item gets its vector by the other model, and points anew: which texts are nearly the same differs from model to
model. What the switch does follows from the items alone, however much had been embedded before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

import numpy as np

from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.vectors.embedding_step import (
    EmbeddingStep,
    Vector,
    made_from_text,
    moved_key,
    shared_part,
)
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.prefetching import Embedding
from recommender_engine.pipeline.vectors.second_models import SecondModels
from recommender_engine.store import Collection, SecondModel, SqliteStore
from recommender_engine.text import clean

SAME_POINT = 1.0 - 1e-6
"""Vectors closer than this are one point of the index: near-identical ones wreck the graph of HNSW."""

_BLOCK = 1000
_CELLS = 1000  # of each coordinate, between 0 and 1: vectors of one cell may be one point


class Switching:
    """Gives collections their second model as the live one, and the live one as their second."""

    def __init__(
        self, store: SqliteStore, embedding: EmbeddingStep, indexes: Indexes, second_models: SecondModels
    ) -> None:
        self._store = store
        self._embedding = embedding
        self._indexes = indexes
        self._second_models = second_models

    def switch(self, collection: Collection, second: SecondModel) -> None:
        """Switch models; the caller saves the collection.

        Raises:
            InvalidCommand: an item has a vector that its producer gave, or a text on which the other model fails;
                nothing was changed.
            EncodingError: the other model failed.
        """
        seqs, rows = self._vectors(collection, second)
        last = self._store.second_models.last_point(collection.id)
        point_of: dict[int, int] = {}
        cells: dict[bytes, int] = {}
        for start in range(0, len(seqs), _BLOCK):
            part = rows[start : start + _BLOCK]
            fresh = [row for row in dict.fromkeys(part) if row not in point_of]
            vectors = self._store.vectors.several(fresh)
            for row in fresh:
                point_of[row] = self._point(collection, row, vectors[row], cells)
            of_part = zip(part, seqs[start : start + _BLOCK], strict=True)
            self._store.second_models.switch([(row, point_of[row], seq) for row, seq in of_part])
        self._store.second_models.drop_points(collection.id, last)
        self._store.items.recent.clear()
        self._store.items.changes.forget(collection.id)
        before = replace(
            second,
            name=collection.settings.model,
            model=str(collection.model),
            dimension=int(collection.dimension or 0),
            embedded_seq=seqs[-1] if seqs else 0,
            tries=0,
            previous=not second.previous,
        )
        self._second_models.put(before)
        collection.model, collection.dimension = second.model, second.dimension
        collection.settings = collection.settings.model_copy(update={"model": second.name})
        self._indexes.switch(collection)

    def _vectors(self, collection: Collection, second: SecondModel) -> tuple[list[int], list[int]]:
        """Arrival numbers of all items, and the rows of their vectors by the other model."""
        rows: dict[int, int] = {}
        missing: dict[int, bytes] = {}
        seqs: list[int] = []
        for block in self._store.second_models.items(second):
            if not all(made_from_text(key) for _, key in block):
                raise InvalidCommand(
                    "given_vectors",
                    f"model: {collection.name!r} has items with vectors of their producer, which no other model makes",
                    "model",
                )
            moved = {key: moved_key(key, collection.name) for _, key in block}
            found = self._store.second_models.rows(second.model, {*map(shared_part, moved), *moved.values()})
            for seq, key in block:
                seqs.append(seq)
                row = found.get(moved[key], found.get(shared_part(key)))
                if row is None:
                    missing[seq] = shared_part(key)
                else:
                    rows[seq] = row
        rows |= self._embed(second, missing)
        return seqs, [rows[seq] for seq in seqs]

    def _embed(self, second: SecondModel, missing: Mapping[int, bytes]) -> dict[int, int]:
        """Store the vectors that items lack, under these keys; their rows."""
        texts: dict[int, str] = {}
        left = iter(missing)
        while part := list(islice(left, _BLOCK)):
            texts |= {seq: clean(row.compared.content) for seq, row in self._store.items.by_seq(part).items()}
        made = self._embedding.embed_texts(second.name, list(dict.fromkeys(texts.values()))) if texts else {}
        vectors: dict[str, Embedding] = {}
        for text, one in made.items():
            if isinstance(one, InvalidCommand):
                raise one
            vectors[text] = one
        rows: dict[bytes, int] = {}
        for seq, key in missing.items():
            if key not in rows:
                vector, truncated, _ = vectors[texts[seq]]
                rows[key] = self._store.vectors.add(second.model, key, vector, truncated)
        return {seq: rows[key] for seq, key in missing.items()}

    def _point(self, collection: Collection, row: int, vector: Vector, cells: dict[bytes, int]) -> int:
        """The point of a vector: that of one that is nearly the same, or a new one."""
        cell = _cell(vector)
        if (point := cells.get(cell)) is not None:
            other = self._store.vectors.of_points([point])[point]
            if float(vector @ other) >= SAME_POINT:
                return point
        cells[cell] = point = self._store.vectors.add_point(collection.id, row)
        return point


def _cell(vector: Vector) -> bytes:
    """Where a vector is on a fine grid."""
    places = np.round(vector * _CELLS).astype(np.int16)
    return hashlib.blake2b(places.tobytes(), digest_size=16).digest()
