"""Encoders without a model, for workers that start at once."""

from __future__ import annotations

from collections.abc import Sequence

from recommender_engine.embedding import Embeddings, Encoder, ModelIdentity
from recommender_engine.errors import EncodingError
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.testing import DeterministicEncoder

SECOND, SECOND_DIMENSION = "second", 32


class FixedEncoders:
    """``Encoders`` of two models: deterministic encoders, one under the name of the default model."""

    names = (DEFAULT_MODEL, SECOND)
    _second = DeterministicEncoder(SECOND_DIMENSION)

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder()

    def encoder(self, name: str) -> DeterministicEncoder:
        return {DEFAULT_MODEL: self._encoder, SECOND: self._second}[name]


class FailingEncoder:
    """Wraps an encoder; fails on every text while ``failing`` is set."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.failing = False

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        if self.failing:
            raise EncodingError("the model fails")
        return self._encoder.encode(texts)
