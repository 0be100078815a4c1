"""An encoder that some texts kill, hang or crash."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence

import numpy as np

from recommender_engine.embedding.encoder import Embeddings, ModelIdentity
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.testing import DeterministicEncoder
from tests.support.waiting import wait_until

KILLS, SEGFAULTS, HANGS, HANGS_DEEP, RAISES, EATS, EXITS, TOGETHER = (
    "poison that kills",
    "poison that segfaults",
    "poison that hangs",
    "poison that hangs without giving the interpreter back",
    "poison that raises",
    "poison that eats memory",
    "poison that exits",
    "poison in company",
)


class PoisonEncoder:
    """The deterministic encoder, except for texts with an effect."""

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder()

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        for text in texts:
            _act(text)
        if sum(TOGETHER in text for text in texts) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._encoder.encode(texts)


def _act(text: str) -> None:
    if text.startswith(KILLS):
        os.kill(os.getpid(), signal.SIGKILL)
    elif text.startswith(SEGFAULTS):
        ctypes.string_at(0)
    elif text.startswith(HANGS_DEEP):
        ctypes.PyDLL(None).sleep(3600)
    elif text.startswith(HANGS):
        wait_until(lambda: False, "the end of the world", 3600)
    elif text.startswith(RAISES):
        raise ZeroDivisionError("of the test")
    elif text.startswith(EATS):
        np.ones(2**42, dtype=np.uint8)
    elif text.startswith(EXITS):
        os._exit(0)


class PoisonEncoders:
    """``Encoders`` of one model, under the name of the default model."""

    names = (DEFAULT_MODEL,)

    def __init__(self) -> None:
        self._encoder = PoisonEncoder()

    def encoder(self, name: str) -> PoisonEncoder:
        if name not in self.names:
            raise KeyError(name)
        return self._encoder
