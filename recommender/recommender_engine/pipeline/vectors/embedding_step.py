"""The step that embeds: each distinct text of a batch once, and only if it was never embedded before."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from recommender_engine.embedding import (
    Embeddings,
    Encoder,
    Encoders,
    ModelIdentity,
    identity_of,
    require_unit_vectors,
)
from recommender_engine.errors import EncodingError, InvalidCommand, ModelError
from recommender_engine.event_log import event_log
from recommender_engine.items import CollectionSettings, Entry, Item, UpsertItem
from recommender_engine.message import Messages
from recommender_engine.pipeline.vectors.prefetching import (
    Embedding,
    EmbeddingExecutor,
    LocalExecutor,
    Prefetcher,
    TextsOfModel,
    TimedEmbeddings,
)
from recommender_engine.store import SqliteStore, StoredItem
from recommender_engine.store.vectors import KEY_BYTES
from recommender_engine.text import clean, fingerprint

log = event_log(__name__)

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]

HARMLESS = "hello"  # distinguishes a model that fails on one text from one that fails on all
# First byte of a vector's key.
_FROM_TEXT, _GIVEN = b"t", b"v"


@dataclass(frozen=True, slots=True)
class Embedded:
    """An item with everything that is computed from its text alone.

    Attributes:
        item: as the producer sent it.
        cut: the item with what is compared as its text; ``None`` where that is all of it.
        fingerprint: of its message in canonical form.
        vector_key: under which its vector is recorded: a hash of the exact text, or of a vector that its producer gave.
        vector: float32, shape (dimension,), unit length.
        truncated: whether the text was longer than the model reads.
        model: that the vector is of.
        embed_ms: its share of the milliseconds that the model took for the batch; 0 for a known text.
    """

    item: Item
    fingerprint: bytes
    vector_key: bytes
    vector: Vector
    truncated: bool
    model: ModelIdentity
    embed_ms: float
    cut: Item | None = None

    @property
    def compared(self) -> Item:
        """The item as it is compared."""
        return self.item if self.cut is None else self.cut


class EmbeddingStep:
    """Embeds items; texts known to the store or repeated in the batch do not reach the model.

    Args:
        store: has the vectors of texts that were embedded before.
        encoders: the embedding models.
        messages: find what of a text is compared.
        remote: embeds batches further ahead, in other processes, if there are any.
    """

    def __init__(
        self,
        store: SqliteStore,
        encoders: Encoders,
        messages: Messages | None = None,
        remote: EmbeddingExecutor | None = None,
    ) -> None:
        self._store = store
        self._encoders = encoders
        self._messages = messages or Messages()
        self._ahead = Prefetcher()
        self._local = LocalExecutor(lambda name, texts: _checked(self._encoders.encoder(name), texts))
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="recommender-second-model")
        self._remote = remote
        self._uncommitted: dict[tuple[str, str], Embedding] = {}

    def identity(self, settings: CollectionSettings) -> ModelIdentity:
        """The model that the collection's vectors come from."""
        return self._encoders.encoder(settings.model).identity

    def has(self, name: str) -> bool:
        """Whether there is a model of this name."""
        return name in self._encoders.names

    def identity_of(self, name: str) -> ModelIdentity:
        """The model of a name; one that is registered is not loaded for it."""
        return identity_of(self._encoders, name)

    def loaded_identity_of(self, name: str) -> ModelIdentity:
        """The model of a name, as it was loaded."""
        return self._encoders.encoder(name).identity

    def begin_texts(
        self, name: str, model: str, dimension: int, texts: list[str], *, here: bool
    ) -> Future[Mapping[str, Embedding | InvalidCommand]]:
        """Begin to embed texts beside the decisions: in other processes, if there are any, or in a thread.

        Args:
            name: of the model in the settings.
            model: its identity.
            dimension: of its vectors.
            texts: cleaned, all different.
            here: whether this process is to do it.

        Returns:
            What ``embed_texts`` returns, or a ``ModelError`` if the model here is another one.
        """
        if self._remote is not None and not here:
            called, _, fingerprint = model.rpartition("@")
            identity = ModelIdentity(called, fingerprint, dimension, max_tokens=0)
            if (embedding := self._remote.submit(name, identity, texts)) is not None:
                return _by_text(embedding, texts)
        return self._beside.submit(self._embed_as, name, model, texts)

    def _embed_as(self, name: str, model: str, texts: list[str]) -> Mapping[str, Embedding | InvalidCommand]:
        found = self._encoders.encoder(name).identity.key
        if found != model:
            raise ModelError(f"model {name!r} is now {found}, not {model}")
        return self.embed_texts(name, texts)

    def embed_texts(self, name: str, texts: list[str]) -> dict[str, Embedding | InvalidCommand]:
        """Embed cleaned texts, all different, by the model of a name; one on which it fails gives its error.

        Raises:
            EncodingError: the model failed on a harmless text as well.
        """
        encoded = _encode_each(self._encoders.encoder(name), texts)
        return {
            text: one if isinstance(one, InvalidCommand) else Embedding(*one, 0.0)
            for text, one in zip(texts, encoded, strict=True)
        }

    def warm_up(self, settings: Iterable[CollectionSettings]) -> None:
        """Load the models that collections with these settings use."""
        started = time.perf_counter()
        for one in {one.model: one for one in settings}.values():
            self.identity(one)
        log.info("engine.models_ready", extra={"seconds": round(time.perf_counter() - started, 2)})

    def begin(self, entries: Sequence[Entry], settings_of: Callable[[str], CollectionSettings]) -> None:
        """Begin to embed the texts of a batch in a thread, except those that are being embedded already."""
        self._begin(self._local, entries, settings_of)

    def begin_remotely(self, entries: Sequence[Entry], settings_of: Callable[[str], CollectionSettings]) -> bool:
        """The same in other processes, if there are any; whether all texts are being embedded now."""
        return self._remote is not None and self._begin(self._remote, entries, settings_of)

    def committed(self) -> None:
        """Drop the vectors of the batch: they are in the store. A batch that was rolled back needs them again."""
        self._uncommitted.clear()

    def close(self) -> None:
        """Stop embedding ahead."""
        if self._remote is not None:
            self._remote.close()
        self._local.close()
        self._beside.shutdown(cancel_futures=True)

    def embed(self, items: Sequence[tuple[Item, CollectionSettings]]) -> list[Embedded | InvalidCommand]:
        """Embed the items of a batch, in order; an item that cannot be embedded gives its error instead.

        Raises:
            EncodingError: the model failed on the batch.
        """
        return self._embed(items, self._uncommitted)

    def embed_question(self, item: Item, settings: CollectionSettings) -> Embedded:
        """Embed an item that is not stored.

        Raises:
            EncodingError: the model failed.
            InvalidCommand: nothing of the item can be embedded.
        """
        (embedded,) = self._embed([(item, settings)], {})
        if isinstance(embedded, InvalidCommand):
            raise embedded
        return embedded

    def embed_again(self, row: StoredItem, settings: CollectionSettings) -> Embedded | InvalidCommand:
        """Embed what is compared of a stored item now; a vector that its producer gave stays.

        Raises:
            EncodingError: the model failed.
        """
        key = self._store.vectors.key(row.vector)
        if made_from_text(key):
            (embedded,) = self._embed([(row.item, settings)], self._uncommitted)
            return embedded
        compared = self._messages.compared(row.item, settings)
        print_ = self._fingerprint(row.item, compared, settings)
        vector, model = self._store.vectors.get(row.vector), self.identity(settings)
        return Embedded(row.item, print_, key, vector, truncated=False, model=model, embed_ms=0.0)

    def _begin(
        self,
        executor: EmbeddingExecutor,
        entries: Sequence[Entry],
        settings_of: Callable[[str], CollectionSettings],
    ) -> bool:
        waiting: dict[str, dict[str, None]] = {}
        for item in (entry.command for entry in entries):
            # Where a rate is limited, it is not known yet which commands are refused.
            if not isinstance(item, UpsertItem) or (settings := settings_of(item.collection)).commands_per_second:
                continue
            text = clean(self._messages.compared(item, settings).content)
            if self._at_hand(item, text, settings) is None:
                waiting.setdefault(settings.model, {})[text] = None
        return self._ahead.begin(
            executor,
            [TextsOfModel(name, self._encoders.encoder(name).identity, texts) for name, texts in waiting.items()],
        )

    def _embed(
        self, items: Sequence[tuple[Item, CollectionSettings]], kept: dict[tuple[str, str], Embedding]
    ) -> list[Embedded | InvalidCommand]:
        results: list[Embedded | InvalidCommand | None] = [None] * len(items)
        cut: list[Item | None] = [None] * len(items)
        waiting: dict[str, dict[str, list[int]]] = {}
        for position, (item, settings) in enumerate(items):
            compared = self._messages.compared(item, settings)
            text = clean(compared.content)
            cut[position] = None if compared is item else compared
            results[position] = self._at_hand(item, text, settings)
            if results[position] is None:
                waiting.setdefault(settings.model, {}).setdefault(text, []).append(position)
        for model, texts in waiting.items():
            self._encode(model, texts, items, results, kept)
        return [
            result if one is None or isinstance(result, InvalidCommand) else self._cut(result, one, settings)
            for result, one, (_, settings) in zip(results, cut, items, strict=True)
            if result is not None
        ]

    def _cut(self, embedded: Embedded, cut: Item, settings: CollectionSettings) -> Embedded:
        return replace(embedded, cut=cut, fingerprint=self._fingerprint(embedded.item, cut, settings))

    def _fingerprint(self, item: Item, compared: Item, settings: CollectionSettings) -> bytes:
        return fingerprint(clean(self._messages.told(item, compared, settings)))

    def _at_hand(self, item: Item, text: str, settings: CollectionSettings) -> Embedded | InvalidCommand | None:
        """The result without the model; ``None`` if the text must be embedded."""
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
        # A vector that was moved here with the collection comes first, whatever else is embedded in the same batch.
        found = self._store.vectors.find(model.key, moved_key(key, item.collection), key)
        if found is None:
            return None
        return Embedded(item, fingerprint(text), found.key, found.vector, found.truncated, model, embed_ms=0.0)

    def _encode(
        self,
        model: str,
        texts: dict[str, list[int]],
        items: Sequence[tuple[Item, CollectionSettings]],
        results: list[Embedded | InvalidCommand | None],
        kept: dict[tuple[str, str], Embedding],
    ) -> None:
        encoder = self._encoders.encoder(model)
        for text, one in self._vectors(encoder, model, list(texts), kept).items():
            if isinstance(one, InvalidCommand):
                for position in texts[text]:
                    results[position] = one
                continue
            print_, key = fingerprint(text), _text_key(text)
            for position in texts[text]:
                results[position] = Embedded(items[position][0], print_, key, *one[:2], encoder.identity, one.embed_ms)

    def _vectors(
        self, encoder: Encoder, model: str, texts: list[str], kept: dict[tuple[str, str], Embedding]
    ) -> dict[str, Embedding | InvalidCommand]:
        """The vector of each text: kept from an earlier try, embedded ahead, or embedded now. All are kept then."""
        found: dict[str, Embedding | InvalidCommand] = {
            text: kept[model, text] for text in texts if (model, text) in kept
        }
        found |= self._ahead.take(model, texts)
        missing = [text for text in texts if text not in found]
        if missing:
            started = time.perf_counter()
            encoded = _encode_each(encoder, missing)
            embed_ms = round((time.perf_counter() - started) * 1000 / len(missing), 3)
            for text, one in zip(missing, encoded, strict=True):
                found[text] = one if isinstance(one, InvalidCommand) else Embedding(*one, embed_ms)
        kept.update({(model, text): one for text, one in found.items() if isinstance(one, Embedding)})
        return found


def _by_text(embedding: Future[TimedEmbeddings], texts: list[str]) -> Future[Mapping[str, Embedding | InvalidCommand]]:
    found: Future[Mapping[str, Embedding | InvalidCommand]] = Future()

    def done(embedded: Future[TimedEmbeddings]) -> None:
        if embedded.cancelled() or (error := embedded.exception()) is not None:
            found.set_exception(EncodingError("not embedded") if embedded.cancelled() else error)
        else:
            found.set_result({text: embedded.result().of(place) for place, text in enumerate(texts)})

    embedding.add_done_callback(done)
    return found


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
        _encode_all(encoder, [HARMLESS])
        return [InvalidCommand("encoding_failed", "the model fails on this text", "text")]


def _encode_all(encoder: Encoder, texts: list[str]) -> list[tuple[Vector, bool] | InvalidCommand]:
    return [(vector, bool(cut)) for vector, cut in zip(*_checked(encoder, texts), strict=True)]


def _checked(encoder: Encoder, texts: list[str]) -> Embeddings:
    return require_unit_vectors(encoder.encode(texts), len(texts), encoder.identity.dimension)


def says_the_same(row: StoredItem, embedded: Embedded, store: SqliteStore) -> bool:
    """Whether a stored item has the same content as one that arrives.

    A producer's vector is part of the content; case is not, though it changes the vector of a text.
    """
    if row.fingerprint != embedded.fingerprint:
        return False
    key = store.vectors.key(row.vector)
    return key == embedded.vector_key or (made_from_text(key) and made_from_text(embedded.vector_key))


def made_from_text(vector_key: bytes) -> bool:
    """Whether the vector comes from the model and not from the producer."""
    return vector_key.startswith(_FROM_TEXT)


def shared_key(key: bytes, vector: Vector) -> bytes | None:
    """The key under which a vector of a moved collection serves all collections; ``None`` if it cannot be verified.

    The key of a producer's vector is its own hash. The vector of a text can only be verified by the model here.
    """
    return key if key == _GIVEN + hashlib.sha256(vector.tobytes()).digest() else None


def shared_part(key: bytes) -> bytes:
    """The key of the same vector where it serves all collections."""
    return key[:KEY_BYTES]


def moved_key(key: bytes, collection: str) -> bytes:
    """The key under which a vector that arrived with a collection serves this collection and no other."""
    return shared_part(key) + hashlib.blake2b(collection.encode(), digest_size=8).digest()


def _text_key(cleaned: str) -> bytes:
    # Not the fingerprint: it folds case, and the vector must not depend on which of two equal texts came first.
    return _FROM_TEXT + hashlib.sha256(cleaned.encode()).digest()
