"""The models that a process was started with, each loaded on first use."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from recommender_engine.embedding.encoder import Encoder, ModelIdentity
from recommender_engine.embedding.model_source import ModelSource
from recommender_engine.embedding.registry import ModelRegistry
from recommender_engine.errors import ConfigurationError


class Encoders(Protocol):
    """Encoders by the name of their model."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models, in the order declared."""

    def encoder(self, name: str) -> Encoder:
        """The encoder of one model, the same object each time.

        Raises:
            ConfigurationError: there is no model of that name.
            ModelError: its files are missing, altered or cannot be loaded.
        """


class ModelCatalogue:
    """``Encoders`` over declared models.

    Args:
        sources: the models, each with a name of its own.
        threads: CPU threads for the models, a setting of the whole process; ``None``: one for each usable processor.
        backend: what computes the vectors, or ``auto``; see ``SentenceTransformerEncoder``.
        cache: folder that keeps what was measured and converted; ``None`` keeps nothing.
        windows: of a long text that are read at most; see ``SentenceTransformerEncoder``.
        registry: has further models, which are found as soon as they are registered; a declared name comes first.

    Raises:
        ConfigurationError: two models have one name.
    """

    def __init__(
        self,
        sources: Iterable[ModelSource],
        threads: int | None = None,
        backend: str = "torch-float32",
        cache: Path | None = None,
        windows: int = 1,
        registry: ModelRegistry | None = None,
    ) -> None:
        self._registry = registry
        self._sources: dict[str, ModelSource] = {}
        for source in sources:
            if source.name in self._sources:
                raise ConfigurationError(f"model {source.name!r} is declared twice")
            self._sources[source.name] = source
        self._threads = threads
        self._backend = backend
        self._cache = cache
        self._windows = windows
        self._loaded: dict[str, Encoder] = {}
        self._loading = threading.Lock()

    def __reduce__(self) -> tuple[type[ModelCatalogue], tuple[object, ...]]:
        """What a process of our own is given: the declarations; it loads for itself."""
        declared = tuple(self._sources.values())
        return type(self), (declared, self._threads, self._backend, self._cache, self._windows, self._registry)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models, in the order declared, then those that are registered."""
        registered = () if self._registry is None else self._registry.models()
        return (*self._sources, *(name for name in registered if name not in self._sources))

    def encoder(self, name: str) -> Encoder:
        """The encoder of one model, loaded on the first call and kept.

        Raises:
            ConfigurationError: there is no model of that name.
            ModelError: its files are missing, altered or cannot be loaded.
        """
        source = self.source(name)
        if (loaded := self._loaded.get(name)) is not None:  # also while another one is being loaded
            return loaded
        with self._loading:
            if name not in self._loaded:
                # Imports torch: seconds and hundreds of megabytes, which only a process that embeds should pay.
                from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

                self._loaded[name] = SentenceTransformerEncoder(
                    source, self._threads, self._backend, self._cache, self._windows
                )
            return self._loaded[name]

    def source(self, name: str) -> ModelSource:
        """The files of one model.

        Raises:
            ConfigurationError: there is no model of that name.
        """
        source = self._sources.get(name)
        if source is None and self._registry is not None:
            source = self._registry.source(name)
        if source is None:
            raise ConfigurationError(f"model {name!r} is not declared; there are: {', '.join(self.names) or 'none'}")
        return source

    def stated(self, name: str) -> ModelIdentity | None:
        """The model of a name as it was when it was registered; ``None`` for one that is declared."""
        found = None if self._registry is None or name in self._sources else self._registry.models().get(name)
        return None if found is None else ModelIdentity(name, found.digest, found.dimension, found.max_tokens)


def identity_of(encoders: Encoders, name: str) -> ModelIdentity:
    """The model of a name: as it was registered, if it was, else it is loaded.

    Raises:
        ConfigurationError: there is no model of that name.
        ModelError: its files are missing, altered or cannot be loaded.
    """
    stated = encoders.stated(name) if isinstance(encoders, ModelCatalogue) else None
    return encoders.encoder(name).identity if stated is None else stated
