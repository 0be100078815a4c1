"""A model that takes its time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from recommender_engine.embedding import Embeddings
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FixedEncoders

TEXTS_PER_S = 10


class SlowEncoder(DeterministicEncoder):
    def encode(self, texts: Sequence[str]) -> Embeddings:
        time.sleep(len(texts) / TEXTS_PER_S)
        return super().encode(texts)


class SlowEncoders(FixedEncoders):
    def __init__(self) -> None:
        self._encoder = SlowEncoder()
