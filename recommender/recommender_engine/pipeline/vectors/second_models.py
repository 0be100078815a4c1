"""The second model of a collection: its items are embedded by it a slice at a time, beside the decisions.

No decision depends on it before the switch, so a slice may come at any time and be of any size. Items that arrive have
their turn behind those that are there. A process that ends loses the slice that it was embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Any, NamedTuple

from recommender_engine.errors import ConfigurationError, EncodingError, InvalidCommand, ModelError
from recommender_engine.event_log import event_log
from recommender_engine.pipeline.vectors.embedding_step import (
    HARMLESS,
    EmbeddingStep,
    Vector,
    made_from_text,
    shared_part,
)
from recommender_engine.pipeline.vectors.prefetching import Embedding
from recommender_engine.store import SecondModel, SqliteStore, StoredItem
from recommender_engine.text import clean

log = event_log(__name__)

LEAST = 16
"""Texts of a slice besides twice as many as were decided since the last one began: under any load those that arrive are
caught up with, and those that were there too."""
LOOKED_AT = 500
"""Items that are looked at for a slice."""
MOST_TRIES = 3
"""Processes that may end while they embed one slice; then it is begun no more."""


class _Slice(NamedTuple):
    """Texts that are being embedded.

    Attributes:
        second: for which model.
        rows: the items looked at; none where the model is only loaded.
        texts: by the keys of their vectors.
        future: their vectors.
    """

    second: SecondModel
    rows: Sequence[StoredItem]
    texts: dict[bytes, str]
    future: Future[Mapping[str, Embedding | InvalidCommand]]


class SecondModels:
    """Knows which collections have a second model, and embeds their items by it."""

    def __init__(self, store: SqliteStore, embedding: EmbeddingStep) -> None:
        self._store = store
        self._embedding = embedding
        self._slice: _Slice | None = None
        self._decided = 0  # since it was begun
        self._begun: set[tuple[int, str]] = set()  # by this process
        self._loaded: set[str] = set()
        self._here = False  # whether the next slice is embedded in this process
        self._unusable: set[str] = set()  # names of models that this process cannot use
        self._found: dict[int, SecondModel] = {}
        self._reload()
        store.on_rollback(self._reload)
        store.on_retire(self._retire)

    def of(self, collection: int) -> SecondModel | None:
        """The second model of a collection, by its number."""
        return self._found.get(collection)

    def put(self, one: SecondModel) -> None:
        """Give a collection a second model; part of the running transaction."""
        self._keep(one)
        self._begun.discard((one.collection, one.model))
        self._unusable.discard(one.name)

    def _keep(self, one: SecondModel) -> None:
        self._store.second_models.put(one)
        self._found[one.collection] = one

    def drop(self, one: SecondModel) -> None:
        """Take it from its collection; part of the running transaction."""
        self._store.second_models.drop(one)
        self._found.pop(one.collection, None)

    def view(self, collection: int) -> dict[str, Any] | None:
        """The second model of a collection with its progress, as JSON values."""
        one = self._found.get(collection)
        if one is None:
            return None
        return {
            "name": one.name,
            "model": one.model,
            "dimension": one.dimension,
            "left": self._store.second_models.left(one),
            "stopped": self._why_stopped(one),
            "previous": one.previous,
        }

    def vector(self, one: SecondModel, row: StoredItem) -> Vector | None:
        """The vector of an item by the second model of its collection, if it has been embedded by it."""
        key = self._store.vectors.key(row.vector)
        found = self._store.vectors.find(one.model, key, shared_part(key))
        return None if found is None else found.vector

    def build(self, decided: int = 0) -> bool:
        """Store the slice that was embedded, and begin the next; whether one is being embedded.

        Args:
            decided: how many commands were decided since the last call.
        """
        self._decided += decided
        if self._slice is not None and (not self._slice.future.done() or not self._finish(self._slice)):
            return self._slice is not None
        most = LEAST + 2 * self._decided
        self._decided = 0
        return any(self._begin(one, most) for one in list(self._found.values()))

    def complete(self, name: str) -> bool:
        """Embed a slice for the collections whose second model has this name, and wait for it; false if none is left.

        Raises:
            EncodingError: the model failed.
        """
        while self._slice is not None:
            wait([self._slice.future])
            if not self._finish(self._slice):
                raise EncodingError(f"model {name!r} failed on the items of a collection")
        return any(self._begin(one, LOOKED_AT) for one in list(self._found.values()) if one.name == name)

    def _why_stopped(self, one: SecondModel) -> str | None:
        if not self._embedding.has(one.name):
            return "unknown_model"
        if one.tries > MOST_TRIES or one.name in self._unusable:
            return "failed"
        return None

    def _begin(self, one: SecondModel, most: int) -> bool:
        """Begin a slice; false if all items have been embedded, or none can be."""
        if self._why_stopped(one) is not None:
            return False
        rows, texts = [], dict[bytes, str]()
        for row in self._store.items.after(one.collection, one.embedded_seq, LOOKED_AT):
            key = self._store.vectors.key(row.vector)
            if made_from_text(key) and self._store.vectors.find(one.model, key, shared_part(key)) is None:
                if len(texts) == most and shared_part(key) not in texts:
                    break
                texts[shared_part(key)] = clean(row.compared.content)
            rows.append(row)
        if rows and not texts:
            with self._store.transaction():
                self._keep(replace(one, embedded_seq=rows[-1].seq, tries=0))
            return True
        if not rows:
            if one.model in self._loaded:
                return False
            texts = {b"": HARMLESS}  # so that the model is loaded by the time of the switch, beside the decisions
        elif (one.collection, one.model) not in self._begun:
            one = replace(one, tries=one.tries + 1)
            with self._store.transaction():
                self._keep(one)
            self._begun.add((one.collection, one.model))
        future = self._embedding.begin_texts(
            one.name, one.model, one.dimension, list(dict.fromkeys(texts.values())), here=not rows or self._here
        )
        self._slice = _Slice(one, rows, texts, future)
        return True

    def _finish(self, part: _Slice) -> bool:
        """Store the vectors of a slice, of those items that are still here as they were; false if the model failed."""
        self._slice = None
        if (error := part.future.exception()) is not None:
            self._note_failure(part.second, error)
            return False
        found, current = part.future.result(), self._found.get(part.second.collection)
        self._loaded.add(part.second.model)
        self._here = False
        if current is None or current.model != part.second.model or not part.rows:
            return True
        with self._store.transaction():
            here = self._store.second_models.vectors_of([row.seq for row in part.rows])
            for row in part.rows:
                key = shared_part(self._store.vectors.key(row.vector)) if here.get(row.seq) == row.vector else b""
                one = found.get(part.texts.get(key, ""))
                if isinstance(one, Embedding) and self._store.vectors.find(current.model, key) is None:
                    self._store.vectors.add(current.model, key, one.vector, one.truncated)
            if current.embedded_seq == part.second.embedded_seq:
                self._keep(replace(current, embedded_seq=part.rows[-1].seq, tries=1))
        return True

    def _note_failure(self, one: SecondModel, error: BaseException) -> None:
        if isinstance(error, ModelError | ConfigurationError):
            self._unusable.add(one.name)
        elif not isinstance(error, EncodingError):
            raise error
        self._here = True  # other processes may lack the model
        log.warning("engine.second_model_failed", extra={"model": one.model, "error": str(error)})

    def _reload(self) -> None:
        self._found = {one.collection: one for one in self._store.second_models.all()}

    def _retire(self, collection: int) -> None:
        if (one := self._found.get(collection)) is not None:
            self.drop(one)
