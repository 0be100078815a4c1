"""``python -m benchmarks.worker_encoder``: the encoder of a worker, alone: no queue, no index, no decision."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import Answer, serve
from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.settings import Settings
from recommender_engine.embedding import Encoder
from recommender_engine.items import DEFAULT_MODEL


class Alone:
    """The encoder that the settings choose."""

    def __init__(self) -> None:
        self._encoder: Encoder | None = None

    def load(self, request: Mapping[str, Any]) -> Answer:
        """Load it, and have it compute the ``texts`` once; tells which ``encoder`` it is."""
        self._encoder = catalogue(Settings.from_environment()).encoder(DEFAULT_MODEL)
        return {**self.encode(request), "encoder": self._encoder.identity.variant}

    def encode(self, request: Mapping[str, Any]) -> Answer:
        """How long the ``texts`` take, all in one call; ``save_to`` names a file for their vectors."""
        if self._encoder is None:
            raise LookupError("not loaded")
        started = time.perf_counter()
        vectors = self._encoder.encode(request["texts"]).vectors
        seconds = time.perf_counter() - started
        if "save_to" in request:
            np.save(Path(request["save_to"]), vectors, allow_pickle=False)
        return {"seconds": seconds}


if __name__ == "__main__":
    alone = Alone()
    serve({"load": alone.load, "encode": alone.encode})
