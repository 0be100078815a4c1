"""A model that fails while a file says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from celery_recommender.settings import Settings
from recommender_engine.embedding.encoder import Embeddings, ModelIdentity
from recommender_engine.errors import EncodingError
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.testing import DeterministicEncoder


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
