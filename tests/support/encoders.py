"""Encoders without a model, for workers that are to start at once."""

from __future__ import annotations

from recommender.items import DEFAULT_MODEL
from recommender.testing import DeterministicEncoder


class FixedEncoders:
    """``Encoders`` of one model: the deterministic encoder under the name of the default model."""

    names = (DEFAULT_MODEL,)

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder()

    def encoder(self, name: str) -> DeterministicEncoder:
        if name not in self.names:
            raise KeyError(name)
        return self._encoder
