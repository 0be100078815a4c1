"""Vectors kept in a file between two evaluations, so that the second does not wait for the model."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recommender_engine.embedding import Embeddings, Encoder, Encoders, ModelIdentity
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.errors import ConfigurationError
from recommender_engine.files import give_to_owner_of

_BATCH = 256
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


class RecordedEncoder:
    """An ``Encoder`` that remembers what it has embedded; the model behind it is loaded for the first new text.

    Args:
        load: gives the model.
        path: where `save` writes, and where recorded vectors are read from if it is there; ``None`` for neither.

    Raises:
        ConfigurationError: the file is damaged, or was not written by this class.
    """

    def __init__(self, load: Callable[[], Encoder], path: Path | None = None) -> None:
        self._load = load
        self._path = path
        self._encoder: Encoder | None = None
        self._identity: ModelIdentity | None = None
        self._known: dict[bytes, tuple[Vectors, bool]] = {}
        self._changed = False
        if path is not None and path.exists():
            self._read(path)

    @property
    def identity(self) -> ModelIdentity:
        """Which model made the vectors."""
        return self._identity or self._model().identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Embed ``texts`` (at least one), in order; those recorded do not reach the model.

        Raises:
            EncodingError: the model failed.
        """
        keys = [hashlib.sha256(text.encode(errors="surrogatepass")).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            made = self._model().encode(list(new.values()))
            for key, vector, flag in zip(new, *made, strict=True):
                self._known[key] = (vector, bool(flag))
            self._changed = True
        vectors = np.stack([self._known[key][0] for key in keys])
        return Embeddings(vectors, np.array([self._known[key][1] for key in keys], np.bool_))

    def save(self) -> None:
        """Write the file, whole or not at all, if there is something new.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if self._path is None or not self._changed:
            return
        vectors, truncated = zip(*self._known.values(), strict=True)
        model: dict[str, Any] = {f"model_{name}": np.array(value) for name, value in asdict(self.identity).items()}
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            with part.open("wb") as file:
                np.savez(
                    file,
                    keys=np.array([np.frombuffer(key, np.uint8) for key in self._known]),
                    vectors=np.stack(vectors),
                    truncated=np.array(truncated, np.bool_),
                    **model,
                )
            give_to_owner_of(part.parent, part)
            part.replace(self._path)
        except OSError as error:
            raise ConfigurationError(f"cannot write {self._path}: {error.strerror}") from error
        self._changed = False

    def _read(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                known: dict[str, Any] = {
                    name.removeprefix("model_"): file[name].item() for name in file.files if name.startswith("model_")
                }
                self._identity = ModelIdentity(**known)
                keys, vectors, truncated = file["keys"], file["vectors"].astype(np.float32), file["truncated"]
                if vectors.shape != (len(keys), self._identity.dimension):
                    raise ValueError(f"vectors of shape {vectors.shape}")
                self._known = {
                    key.tobytes(): (vector, bool(flag))
                    for key, vector, flag in zip(keys, vectors, truncated, strict=True)
                }
        except _DAMAGED as error:
            raise ConfigurationError(f"{path} does not hold recorded vectors, or is damaged ({error})") from error

    def _model(self) -> Encoder:
        if self._encoder is None:
            encoder = self._load()
            if self._identity is not None and encoder.identity.key != self._identity.key:
                raise ConfigurationError(
                    f"{self._path} holds vectors of {self._identity.key}, but the model is {encoder.identity.key}"
                )
            self._encoder, self._identity = encoder, encoder.identity
        return self._encoder


class RecordedEncoders:
    """``Encoders`` of which one, the one evaluated, remembers what it has embedded.

    Args:
        encoders: all of them.
        name: the one evaluated.
        path: as for `RecordedEncoder`.
    """

    def __init__(self, encoders: Encoders, name: str, path: Path | None = None) -> None:
        self._encoders = encoders
        self._name = name
        self.recorded = RecordedEncoder(lambda: encoders.encoder(name), path)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models."""
        return self._encoders.names

    def encoder(self, name: str) -> Encoder:
        """The encoder of one model.

        Raises:
            ConfigurationError: there is no model of that name.
            ModelError: its files are missing, altered or cannot be loaded.
        """
        return self.recorded if name == self._name else self._encoders.encoder(name)


def embed(encoder: Encoder, texts: Sequence[str], done: Callable[[int], None] = lambda count: None) -> Vectors:
    """Embed ``texts``, those of similar length together; ``done`` is called after each batch with their number.

    Returns:
        Shape (texts, dimension), rows of unit length.
    """
    order = np.argsort([-len(text) for text in texts], kind="stable")
    vectors = np.empty((len(texts), encoder.identity.dimension), np.float32)
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        vectors[places] = encoder.encode([texts[place] for place in places]).vectors
        done(len(places))
    return vectors
