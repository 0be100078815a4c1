"""Stand-ins for the engine's swappable parts, for the tests of programs that use it."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from recommender_engine.embedding.checks import require_unicode
from recommender_engine.embedding.encoder import Embeddings, ModelIdentity, Vectors
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import DEFAULT_MODEL

_WORD = re.compile(r"\w+")
_WORD_WEIGHT = 3
_MAX_DIMENSION = 8 * hashlib.blake2b.MAX_DIGEST_SIZE


class DeterministicEncoder:
    """An ``Encoder`` without a model: texts that share words and parts of words get similar vectors.

    A bag of lower-cased words and their character trigrams under a random projection of signs (Achlioptas 2003), the
    signs being the bits of each feature's BLAKE2b hash. The sums are whole numbers, so a vector is the same, bit for
    bit, on every machine and in every batch.

    Args:
        dimension: length of the vectors; a multiple of 8 from 8 to 512.
        max_tokens: words of a text that are read; at least 1.

    Raises:
        ConfigurationError: an argument is out of its range.
    """

    def __init__(self, dimension: int = 64, max_tokens: int = 256) -> None:
        if dimension % 8 or not 8 <= dimension <= _MAX_DIMENSION:
            raise ConfigurationError(f"dimension is a multiple of 8 from 8 to {_MAX_DIMENSION}, not {dimension}")
        if max_tokens < 1:
            raise ConfigurationError(f"max_tokens is at least 1, not {max_tokens}")
        digest = hashlib.sha256(f"deterministic {dimension} {max_tokens}".encode()).hexdigest()
        self._identity = ModelIdentity("deterministic", digest[:16], dimension, max_tokens, "deterministic")

    @property
    def identity(self) -> ModelIdentity:
        """Identity of the simulated model."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Embed ``texts`` (at least one), in order.

        Raises:
            EncodingError: a text holds a lone surrogate.
        """
        require_unicode(texts)
        words = [_WORD.findall(text.lower()) for text in texts]
        limit = self._identity.max_tokens
        vectors = np.stack([self._vector(text, read[:limit]) for text, read in zip(texts, words, strict=True)])
        return Embeddings(vectors, np.array([len(read) > limit for read in words], dtype=np.bool_))

    def _vector(self, text: str, words: list[str]) -> Vectors:
        # A text without words, or one whose features cancel out, is encoded by its characters alone.
        features = _features(words) or Counter([text])
        sums = self._project(features)
        if not sums.any():
            sums = self._project(Counter([text]))
        # The squared length is exact, and IEEE 754 rounds the root and each quotient correctly: no room to differ.
        return np.asarray(sums / math.sqrt(int(sums @ sums)), dtype=np.float32)

    def _project(self, features: Counter[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        size = self._identity.dimension // 8
        hashes = b"".join(hashlib.blake2b(feature.encode(), digest_size=size).digest() for feature in features)
        bits = np.unpackbits(np.frombuffer(hashes, dtype=np.uint8)).reshape(len(features), -1)
        weights = np.fromiter(features.values(), dtype=np.int64, count=len(features))
        return weights @ (2 * bits.astype(np.int64) - 1)


class DeterministicEncoders:
    """``Encoders`` of which each is the deterministic one.

    Args:
        names: of the models; the default model by default.
    """

    def __init__(self, *names: str) -> None:
        self.names = names or (DEFAULT_MODEL,)
        self._encoder = DeterministicEncoder()

    def encoder(self, name: str) -> DeterministicEncoder:
        """The encoder of one of these names.

        Raises:
            ConfigurationError: there is no such model.
        """
        if name not in self.names:
            raise ConfigurationError(f"model {name!r} is not declared")
        return self._encoder


def _features(words: list[str]) -> Counter[str]:
    """Words and the trigrams of each word between blanks, with their weights."""
    features: Counter[str] = Counter()
    for word in words:
        features[word] += _WORD_WEIGHT
        bounded = f" {word} "
        features.update(bounded[start : start + 3] for start in range(len(bounded) - 2))
    return features
