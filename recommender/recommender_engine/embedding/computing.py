"""From texts to unit vectors by one backend: sorted by length, in passes, the windows of a long text put together."""

from __future__ import annotations

import math

import numpy as np

from recommender_engine.embedding.backend import Backend
from recommender_engine.embedding.checks import unit_rows
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Ids, Tokenised, Tokens, passes

_LEAST_TOKENS = 256  # in one of several concurrent passes; a smaller one is mostly overhead


def embed(backend: Backend, tokens: Tokens, read: Tokenised, dimension: int) -> Vectors:
    """Vectors of unit length of tokenised texts, float32, shape (texts, dimension).

    Raises:
        EncodingError: a vector is not finite, or zero.
        ValueError: the model returned something else than one vector for each window.
    """
    vectors = np.empty((len(read.ids), dimension), dtype=np.float32)
    places = list(passes(read.lengths, _budget(backend, read.lengths)))
    found = backend.embed(tokens.padded([read.ids[place] for place in one]) for one in places)
    for one, rows in zip(places, found, strict=True):
        if rows.shape != (len(one), dimension):
            raise ValueError(f"{len(one)} texts gave an array of shape {rows.shape}")
        vectors[one] = rows
    return _of_texts(unit_rows(vectors), read)


def _budget(backend: Backend, lengths: Ids) -> int:
    """Tokens in a pass: the preferred size of the backend, but at least as many passes as it computes concurrently."""
    share = math.ceil(int(lengths.sum()) / backend.passes_at_once)
    return max(min(share, backend.tokens_per_pass), min(_LEAST_TOKENS, backend.tokens_per_pass))


def _of_texts(windows: Vectors, read: Tokenised) -> Vectors:
    """Vectors of the texts: the mean of their windows', weighted by tokens."""
    if len(read.starts) == len(windows):
        return windows
    weighted = windows * read.lengths[:, None].astype(np.float32)
    return unit_rows(np.add.reduceat(weighted, read.starts, axis=0))
