"""The step that embeds: each distinct text of a batch once, and only if it was never embedded before."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.embedding import Encoders, ModelIdentity
from recommender.errors import EncodingError, InvalidCommand
from recommender.items import CollectionSettings, Item
from recommender.store import SqliteStore
from recommender.text import clean, fingerprint

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """An item with everything that is computed from its text alone.

    Attributes:
        item: as the producer sent it.
        fingerprint: of its canonical text.
        vector_key: under which its vector is recorded: the fingerprint, or a hash of a vector it brought along.
        vector: float32, shape (dimension,), unit length.
        truncated: whether the text was longer than the model reads.
        model: whose vector it is.
        embed_ms: its share of the milliseconds that the batch spent in the model; 0 for a known text.
    """

    item: Item
    fingerprint: bytes
    vector_key: bytes
    vector: Vector
    truncated: bool
    model: ModelIdentity
    embed_ms: float


class EmbeddingStep:
    """Embeds items; texts known to the store or repeated in the batch do not reach the model."""

    def __init__(self, store: SqliteStore, encoders: Encoders) -> None:
        self._store = store
        self._encoders = encoders

    def identity(self, settings: CollectionSettings) -> ModelIdentity:
        """The model that the collection's vectors come from."""
        return self._encoders.encoder(settings.model).identity

    def embed(self, items: Sequence[tuple[Item, CollectionSettings]]) -> list[Embedded | InvalidCommand]:
        """Embed the items of a batch, in order; an item that cannot be embedded gives its error instead.

        Raises:
            EncodingError: the model failed on the batch.
        """
        results: list[Embedded | InvalidCommand | None] = [None] * len(items)
        waiting: dict[str, dict[bytes, list[tuple[int, str]]]] = {}
        for place, (item, settings) in enumerate(items):
            text = clean(item.content)
            if not text:
                results[place] = InvalidCommand("empty_text", "the text holds nothing visible", "text")
            elif item.vector is not None:
                results[place] = self._given(item, text, settings)
            elif known := self._known(item, text, settings):
                results[place] = known
            else:
                waiting.setdefault(settings.model, {}).setdefault(fingerprint(text), []).append((place, text))
        for model, texts in waiting.items():
            self._encode(model, texts, items, results)
        return [result for result in results if result is not None]

    def _given(self, item: Item, text: str, settings: CollectionSettings) -> Embedded | InvalidCommand:
        model = self.identity(settings)
        vector = np.asarray(item.vector, np.float64)
        length = float(np.linalg.norm(vector))
        if len(vector) != model.dimension:
            return InvalidCommand(
                "wrong_dimension", f"vector: {len(vector)} numbers, but {model.name} has {model.dimension}", "vector"
            )
        if not (np.isfinite(length) and length > 0):
            return InvalidCommand("invalid_value", "vector: its length is zero or overflows", "vector")
        unit = (vector / length).astype(np.float32)
        key = hashlib.sha256(b"vector:" + unit.tobytes()).digest()
        return Embedded(item, fingerprint(text), key, unit, truncated=False, model=model, embed_ms=0.0)

    def _known(self, item: Item, text: str, settings: CollectionSettings) -> Embedded | None:
        print_ = fingerprint(text)
        model = self.identity(settings)
        found = self._store.vectors.find(model.key, print_)
        if found is None:
            return None
        _, vector, truncated = found
        return Embedded(item, print_, print_, vector, truncated, model, embed_ms=0.0)

    def _encode(
        self,
        model: str,
        texts: dict[bytes, list[tuple[int, str]]],
        items: Sequence[tuple[Item, CollectionSettings]],
        results: list[Embedded | InvalidCommand | None],
    ) -> None:
        encoder = self._encoders.encoder(model)
        started = time.perf_counter()
        vectors, truncated = encoder.encode([places[0][1] for places in texts.values()])
        embed_ms = round((time.perf_counter() - started) * 1000 / len(texts), 3)
        if vectors.shape != (len(texts), encoder.identity.dimension) or not np.isfinite(vectors).all():
            raise EncodingError(f"{model} returned something that is not a finite vector for every text")
        for (print_, places), vector, cut in zip(texts.items(), vectors, truncated, strict=True):
            for place, _ in places:
                results[place] = Embedded(
                    items[place][0], print_, print_, vector, bool(cut), encoder.identity, embed_ms
                )
