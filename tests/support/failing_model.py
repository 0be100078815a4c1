"""A model that fails while a file says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recommender.embedding.encoder import Embeddings, ModelIdentity
from recommender.errors import EncodingError
from recommender.items import DEFAULT_MODEL
from recommender.testing import DeterministicEncoder
from workers.settings import Settings


def failure(settings: Settings) -> Path:
    """While this file is there, the model fails."""
    return settings.state_dir / "the-model-fails"


class FailingEncoders:
    names = (DEFAULT_MODEL,)

    def __init__(self, settings: Settings) -> None:
        self._failure = failure(settings)
        self._encoder = DeterministicEncoder()

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encoder(self, name: str) -> FailingEncoders:
        if name not in self.names:
            raise KeyError(name)
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        if self._failure.exists():
            raise EncodingError("out of order")
        return self._encoder.encode(texts)
