"""The interface of an embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a vector. Vectors of two identities are never compared.

    Attributes:
        name: what the settings call it, for example ``all-MiniLM-L6-v2``.
        fingerprint: short SHA-256 over weights, tokenizer, pooling, maximum length, and what makes another model of
            them: quantisation and the releases that quantise, windows over long texts.
        dimension: length of its vectors.
        max_tokens: tokens of a text that are read; the rest is ignored.
        variant: what computes them, as library and number type; not part of the identity, since variants agree.
    """

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int
    variant: str = "torch-float32"

    @property
    def key(self) -> str:
        """Name and fingerprint in one word, as stored with every vector."""
        return f"{self.name}@{self.fingerprint}"


class Embeddings(NamedTuple):
    """Vectors of a batch of texts.

    Attributes:
        vectors: float32, shape (texts, dimension), rows of unit length.
        truncated: bool, shape (texts,); true where the text was longer than the model reads.
    """

    vectors: Vectors
    truncated: NDArray[np.bool_]


class Encoder(Protocol):
    """Turns texts into unit vectors. May be asked by two threads at once: one embeds ahead, one answers questions."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is."""

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Embed ``texts`` (at least one), in order.

        Raises:
            EncodingError: the model failed, or returned something that is not a finite vector.
        """
