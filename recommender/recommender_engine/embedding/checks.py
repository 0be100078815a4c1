"""Checks of every encoder: valid Unicode as input, unit vectors as output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.errors import EncodingError


def require_unicode(texts: Sequence[str]) -> None:
    """Refuse lone surrogates: tokenizers take UTF-8, which has no form for them.

    Raises:
        EncodingError: names the index of the text in the batch, without quoting it.
    """
    for place, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError:
            # The original error carries the text; it must not travel on.
            raise EncodingError(f"text {place} of the batch is not valid Unicode (lone surrogate)") from None


def unit_rows(vectors: Vectors) -> Vectors:
    """Scale each row of ``vectors``, float32, shape (n, dimension), to length 1.

    Raises:
        EncodingError: a row is not finite or has length zero.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    useless = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if useless.size:
        raise EncodingError(f"the model gave a vector that is not finite or zero for text {useless[0]} of the batch")
    return np.asarray(vectors / lengths, dtype=np.float32)
