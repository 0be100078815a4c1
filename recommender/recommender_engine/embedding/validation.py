"""Validation of embeddings: one vector of length 1 for every text."""

from __future__ import annotations

import numpy as np

from recommender_engine.embedding.encoder import Embeddings
from recommender_engine.errors import EncodingError

_LENGTH_TOLERANCE = 0.01


def require_unit_vectors(embeddings: Embeddings, texts: int, dimension: int) -> Embeddings:
    """The embeddings, if they are what they must be.

    Args:
        embeddings: to validate.
        texts: how many.
        dimension: length of each vector.

    Raises:
        EncodingError: shape or type are wrong, or a vector is not finite and of length 1.
    """
    vectors, truncated = embeddings
    lengths = np.linalg.norm(vectors, axis=-1)
    if (
        vectors.shape != (texts, dimension)
        or truncated.shape != (texts,)
        or not (np.abs(lengths - 1) < _LENGTH_TOLERANCE).all()  # NaN compares false
    ):
        raise EncodingError("the model returned something that is not a vector of length 1 for every text")
    return embeddings
