"""The step that embeds: each distinct text of a batch once, and only if it was never embedded before."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.embedding import Embeddings, Encoder, Encoders, ModelIdentity
from recommender.errors import EncodingError, InvalidCommand
from recommender.items import CollectionSettings, Item
from recommender.pipeline.ahead import Ahead
from recommender.store import SqliteStore
from recommender.text import clean, fingerprint

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]

_LENGTH_TOLERANCE = 0.01
_HARMLESS = "hello"  # tells a model that fails on one text from one that fails on all
# First byte of a vector's key.
_FROM_TEXT, _GIVEN = b"t", b"v"


@dataclass(frozen=True, slots=True)
class Embedded:
    """An item with everything that is computed from its text alone.

    Attributes:
        item: as the producer sent it.
        fingerprint: of its canonical text.
        vector_key: under which its vector is recorded: a hash of the very text, or of a vector it brought along.
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
        self._ahead = Ahead(lambda model, texts: _checked(self._encoders.encoder(model), texts))
        self._uncommitted: dict[tuple[str, str], _Encoded] = {}

    def identity(self, settings: CollectionSettings) -> ModelIdentity:
        """The model that the collection's vectors come from."""
        return self._encoders.encoder(settings.model).identity

    def begin(self, items: Iterable[tuple[Item, CollectionSettings]]) -> None:
        """Begin to embed what a later batch will need, in a thread of its own."""
        waiting: dict[str, dict[str, None]] = {}
        for item, settings in items:
            text = clean(item.content)
            if self._at_hand(item, text, settings) is None:
                waiting.setdefault(settings.model, {})[text] = None
        for model, texts in waiting.items():
            self._ahead.begin(model, list(texts))

    def committed(self) -> None:
        """What was embedded is in the store. Until then it is kept: a batch that is undone is tried again."""
        self._uncommitted.clear()

    def close(self) -> None:
        """Embed nothing ahead any more."""
        self._ahead.close()

    def embed(self, items: Sequence[tuple[Item, CollectionSettings]]) -> list[Embedded | InvalidCommand]:
        """Embed the items of a batch, in order; an item that cannot be embedded gives its error instead.

        Raises:
            EncodingError: the model failed on the batch.
        """
        return self._embed(items, self._uncommitted)

    def embed_question(self, item: Item, settings: CollectionSettings) -> Embedded | InvalidCommand:
        """Embed what nobody will store.

        Raises:
            EncodingError: the model failed.
        """
        (embedded,) = self._embed([(item, settings)], {})
        return embedded

    def _embed(
        self, items: Sequence[tuple[Item, CollectionSettings]], kept: dict[tuple[str, str], _Encoded]
    ) -> list[Embedded | InvalidCommand]:
        results: list[Embedded | InvalidCommand | None] = [None] * len(items)
        waiting: dict[str, dict[str, list[int]]] = {}
        for place, (item, settings) in enumerate(items):
            text = clean(item.content)
            results[place] = self._at_hand(item, text, settings)
            if results[place] is None:
                waiting.setdefault(settings.model, {}).setdefault(text, []).append(place)
        for model, texts in waiting.items():
            self._encode(model, texts, items, results, kept)
        return [result for result in results if result is not None]

    def _at_hand(self, item: Item, text: str, settings: CollectionSettings) -> Embedded | InvalidCommand | None:
        """What can be told without the model; ``None`` if the text must be embedded."""
        if not text:
            return InvalidCommand("empty_text", "the text holds nothing visible", "text")
        if settings.model not in self._encoders.names:
            return InvalidCommand("unknown_model", f"the collection's model {settings.model!r} is not one of ours")
        if item.vector is not None:
            return self._given(item, text, settings)
        return self._known(item, text, settings)

    def _given(self, item: Item, text: str, settings: CollectionSettings) -> Embedded | InvalidCommand:
        model = self.identity(settings)
        given = item.vector
        vector = np.asarray(np.frombuffer(given, "<f4") if isinstance(given, bytes) else given, np.float64)
        if len(vector) != model.dimension:
            return InvalidCommand(
                "wrong_dimension", f"vector: {len(vector)} numbers, but {model.name} has {model.dimension}", "vector"
            )
        vector /= np.abs(vector).max()  # squares of very large and very small numbers leave the range of a float
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        key = _GIVEN + hashlib.sha256(unit.tobytes()).digest()
        return Embedded(item, fingerprint(text), key, unit, truncated=False, model=model, embed_ms=0.0)

    def _known(self, item: Item, text: str, settings: CollectionSettings) -> Embedded | None:
        model, key = self.identity(settings), _text_key(text)
        found = self._store.vectors.find(model.key, key)
        if found is None:
            return None
        _, vector, truncated = found
        return Embedded(item, fingerprint(text), key, vector, truncated, model, embed_ms=0.0)

    def _encode(
        self,
        model: str,
        texts: dict[str, list[int]],
        items: Sequence[tuple[Item, CollectionSettings]],
        results: list[Embedded | InvalidCommand | None],
        kept: dict[tuple[str, str], _Encoded],
    ) -> None:
        encoder = self._encoders.encoder(model)
        for text, one in self._vectors(encoder, model, list(texts), kept).items():
            if isinstance(one, InvalidCommand):
                for place in texts[text]:
                    results[place] = one
                continue
            print_, key = fingerprint(text), _text_key(text)
            for place in texts[text]:
                results[place] = Embedded(items[place][0], print_, key, *one[:2], encoder.identity, one.embed_ms)

    def _vectors(
        self, encoder: Encoder, model: str, texts: list[str], kept: dict[tuple[str, str], _Encoded]
    ) -> dict[str, _Encoded | InvalidCommand]:
        """Of each text its vector: kept from a try before, made ahead, or now. All are kept then."""
        found: dict[str, _Encoded | InvalidCommand] = {
            text: kept[model, text] for text in texts if (model, text) in kept
        }
        for made in self._ahead.take(model, texts):
            vectors, truncated = made.embeddings
            for text in texts:
                if (place := made.places.get(text)) is not None:
                    found[text] = _Encoded(vectors[place], bool(truncated[place]), made.embed_ms)
        missing = [text for text in texts if text not in found]
        if missing:
            started = time.perf_counter()
            encoded = _encode_each(encoder, missing)
            embed_ms = round((time.perf_counter() - started) * 1000 / len(missing), 3)
            for text, one in zip(missing, encoded, strict=True):
                found[text] = one if isinstance(one, InvalidCommand) else _Encoded(*one, embed_ms)
        kept.update({(model, text): one for text, one in found.items() if isinstance(one, _Encoded)})
        return found


class _Encoded(NamedTuple):
    vector: Vector
    truncated: bool
    embed_ms: float


def _encode_each(encoder: Encoder, texts: list[str]) -> list[tuple[Vector, bool] | InvalidCommand]:
    """Encode texts; one on which the model fails, while it works on others, costs only itself.

    Raises:
        EncodingError: the model fails on a harmless text as well.
    """
    try:
        return _encode_all(encoder, texts)
    except EncodingError:
        if len(texts) > 1:
            middle = len(texts) // 2
            return _encode_each(encoder, texts[:middle]) + _encode_each(encoder, texts[middle:])
        _encode_all(encoder, [_HARMLESS])
        return [InvalidCommand("encoding_failed", "the model fails on this text", "text")]


def _encode_all(encoder: Encoder, texts: list[str]) -> list[tuple[Vector, bool] | InvalidCommand]:
    return [(vector, bool(cut)) for vector, cut in zip(*_checked(encoder, texts), strict=True)]


def _checked(encoder: Encoder, texts: list[str]) -> Embeddings:
    vectors, truncated = encoder.encode(texts)
    if vectors.shape != (len(texts), encoder.identity.dimension) or not _unit_length(vectors):
        raise EncodingError("the model returned something that is not a vector of length 1 for every text")
    return Embeddings(vectors, truncated)


def made_from_text(vector_key: bytes) -> bool:
    """Whether the vector comes from the model and not from the producer."""
    return vector_key.startswith(_FROM_TEXT)


def _unit_length(vectors: NDArray[np.float32]) -> bool:
    lengths = np.linalg.norm(vectors, axis=1)
    return bool((np.abs(lengths - 1) < _LENGTH_TOLERANCE).all())  # NaN compares false


def _text_key(cleaned: str) -> bytes:
    # Not the fingerprint: it folds case, and what a vector is must not depend on which twin came first in a batch.
    return _FROM_TEXT + hashlib.sha256(cleaned.encode()).digest()
