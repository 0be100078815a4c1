"""``python -m benchmarks.peers.stock``: the libraries as their documentation uses them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.child import Answer, serve
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2

BATCH_SIZE = 32


class Stock:
    """``SentenceTransformer.encode`` in float32, and hnswlib."""

    def __init__(self) -> None:
        self._model: SentenceTransformer | None = None

    def load(self, request: Mapping[str, Any]) -> Answer:
        """Load the model, and have it compute once.

        Args:
            request: the number of ``threads``, and ``texts`` to begin with.
        """
        torch.set_num_threads(request["threads"])
        self._model = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)
        return self.encode(request)

    def encode(self, request: Mapping[str, Any]) -> Answer:
        """How long the ``texts`` take, all in one call."""
        if self._model is None:
            raise LookupError("not loaded")
        started = time.perf_counter()
        self._model.encode(request["texts"], batch_size=BATCH_SIZE, show_progress_bar=False)
        return {"seconds": time.perf_counter() - started}

    def index(self, request: Mapping[str, Any]) -> Answer:
        """How long it takes to ask for the ``k`` nearest of vectors and add them, a ``block`` at a time.

        Args:
            request: ``path`` of an array (vectors, dimension), and the graph's ``m``, ``ef_construction``, ``ef``,
                ``seed`` and ``threads``.
        """
        vectors = np.load(Path(request["path"]), allow_pickle=False)
        count, dimension = vectors.shape
        graph = hnswlib.Index(space="ip", dim=dimension)
        graph.init_index(count, M=request["m"], ef_construction=request["ef_construction"], random_seed=request["seed"])
        graph.set_num_threads(request["threads"])
        graph.set_ef(request["ef"])
        started = time.perf_counter()
        for start in range(0, count, request["block"]):
            block = vectors[start : start + request["block"]]
            if start:
                graph.knn_query(block, min(request["k"], start))
            graph.add_items(block, np.arange(start, start + len(block)))
        return {"seconds": time.perf_counter() - started}


if __name__ == "__main__":
    stock = Stock()
    serve({"load": stock.load, "encode": stock.encode, "index": stock.index})
